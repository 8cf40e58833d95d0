"""An event as a row and back. The body holds all of it and has a checksum; `id` is there once more to search by."""

import msgspec

from timer_server.core.model import Event
from timer_server.store.integrity import Damage, is_sound, sealed

Row = tuple[int, str, bytes, int]
"""`seq`, `id`, the encoded event, its checksum."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Event).decode


def to_row(event: Event) -> Row:
    """The row that an event is stored as."""
    return event.timer.seq, event.timer.id, *sealed(_encode(event))


def to_event(row: Row) -> Event:
    """The event that a row was made of. Raises `Damage` where the row was altered, or moved to another key."""
    seq, timer_id, body, checksum = row
    if not is_sound(body, checksum):
        raise Damage(f"event {seq} does not match its checksum")
    try:
        event = _decode(body)
    except (msgspec.MsgspecError, ValueError) as error:
        raise Damage(f"event {seq} cannot be decoded: {error}") from None
    if event.timer.seq != seq or event.timer.id != timer_id:
        raise Damage(f"event {seq} holds what was written as event {event.timer.seq} of {event.timer.id}")
    return event
