"""Reads a log of schema version 2, which had a row for every event."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import msgspec
from msgspec import Struct

from timer_protocol.messages import EventKind, State
from timer_server.core.model import NUMBER_OF, Timer
from timer_server.store.integrity import Damage, complete, is_sound
from timer_server.store.state import LogState, row_to_state

_SELECT_EVENTS = "SELECT seq, id, body, checksum FROM old_events ORDER BY seq"
_SELECT_HEADER = "SELECT body, checksum FROM old_header"


class OldTimer(Struct, frozen=True, array_like=True):
    """A timer as versions 1 and 2 had it: its state and its end were fields of their own."""

    seq: int
    id: str
    state: State
    label: str
    hours: int | float
    minutes: int | float
    seconds: int | float
    duration_ms: int
    due_at_ms: int | None
    remaining_ms: int
    started_at_ms: int
    ended_at_ms: int | None
    version: int
    keys: tuple[str, ...] | None
    payload: bytes


class OldEvent(Struct, frozen=True, array_like=True):
    """An event as versions 1 and 2 had it."""

    kind: EventKind
    at_ms: int
    timer: OldTimer

    def renewed(self) -> Timer:
        """The same as it is today."""
        old = self.timer
        return Timer(
            due_at_ms=old.due_at_ms,
            seq=old.seq,
            kind_number=NUMBER_OF[self.kind],
            started_at_ms=old.started_at_ms,
            elapsed_ms=self.at_ms - old.started_at_ms,
            id=old.id,
            label=old.label,
            hours=old.hours,
            minutes=old.minutes,
            seconds=old.seconds,
            duration_ms=old.duration_ms,
            remaining_ms=old.remaining_ms if old.state == "paused" else 0,
            version=old.version,
            keys=old.keys,
            payload=old.payload,
        )


_decode = msgspec.msgpack.Decoder(OldEvent).decode


def read_events(database: sqlite3.Connection) -> Iterator[Timer]:
    """All events of the table `old_events` in order. Raises `Damage` where one is missing or was altered."""
    state = _state(database)
    with closing(database.execute(_SELECT_EVENTS)) as rows:
        yield from complete((_to_event(*row) for row in rows), state.held, state.horizon, state.last_seq)


def read_state(database: sqlite3.Connection, _: bytes) -> LogState:
    """The state in the table `old_header`, as that of a log without events; it stays the same log. Raises `Damage`."""
    return msgspec.structs.replace(_state(database), held=0)


def _state(database: sqlite3.Connection) -> LogState:
    return row_to_state(database.execute(_SELECT_HEADER).fetchone())


def _to_event(seq: int, timer_id: str, body: bytes, checksum: int) -> Timer:
    if not is_sound(body, checksum):
        raise Damage(f"event {seq} does not match its checksum")
    try:
        event = _decode(body)
    except (msgspec.MsgspecError, ValueError) as error:
        raise Damage(f"event {seq} cannot be decoded: {error}") from None
    if event.timer.seq != seq or event.timer.id != timer_id:
        raise Damage(f"event {seq} holds what was written as event {event.timer.seq} of {event.timer.id}")
    return event.renewed()
