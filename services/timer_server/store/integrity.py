"""What tells a damaged log from a whole one: a checksum on every row, and a count of what should be there."""

from collections.abc import Iterable, Iterator
from zlib import crc32

from timer_server.core.model import Event


class Damage(Exception):
    """What was read is not what was written. The text says what was found, and where in the log."""


def sealed(body: bytes) -> tuple[bytes, int]:
    """A body with the checksum to store beside it."""
    return body, crc32(body)


def is_sound(body: object, checksum: object) -> bool:
    """Whether a body is what the checksum was made of; damage may have changed the types of both."""
    return isinstance(body, bytes) and crc32(body) == checksum


def complete(events: Iterable[Event], rows: int, horizon: int, last_seq: int) -> Iterator[Event]:
    """The events of a log, checked to be all that it should hold: `rows` of them, and none missing after the horizon.

    Raises `Damage` at the first that is out of place, or at the end.
    """
    found, last, expected = 0, 0, horizon + 1
    for event in events:
        seq = event.timer.seq
        if seq == expected:
            expected += 1
        elif seq > horizon:
            raise Damage(f"event {expected} is missing, event {seq} stands in its place")
        elif seq <= last:
            raise Damage(f"event {seq} stands after event {last}")
        found, last = found + 1, seq
        yield event
    if expected - 1 != max(last_seq, horizon):
        raise Damage(f"it ends at event {expected - 1}, and should end at {last_seq}")
    if found != rows:
        raise Damage(f"it holds {found} events, and should hold {rows}")
