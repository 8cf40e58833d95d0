"""Reads a log of schema version 1, which had a column for every field and no checksums."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import msgspec

from timer_server.core.model import Timer
from timer_server.store.integrity import Damage
from timer_server.store.state import LogState
from timer_server.store.version_2 import OldEvent

_SELECT_EVENTS = """
SELECT kind, at_ms, seq, id, state, label, hours, minutes, seconds, duration_ms, due_at_ms, remaining_ms,
    started_at_ms, ended_at_ms, version, keys, payload
FROM old_events ORDER BY seq
"""
_SELECT_HEADER = "SELECT horizon, boot_id, boot_ns, wall_ns, timeline_ns FROM old_header"
_KEYS = -2


def read_events(database: sqlite3.Connection) -> Iterator[Timer]:
    """All events of the table `old_events` in order. Raises `Damage` for values that no event can have."""
    with closing(database.execute(_SELECT_EVENTS)) as rows:
        for row in rows:
            yield _to_event(*row)


def read_state(database: sqlite3.Connection, log_id: bytes) -> LogState:
    """The horizon and the anchor of the table `old_header`, as the state of a log without events. Raises `Damage`."""
    row = database.execute(_SELECT_HEADER).fetchone()
    if row is None:
        raise Damage("its header is missing")
    horizon, *anchor = row
    fields = (log_id, 0, 0, horizon, horizon, 0, None if anchor[0] is None else anchor)
    try:
        # Pruning may have emptied the table; the horizon has passed whatever was removed.
        return msgspec.convert(fields, LogState, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise Damage(f"its header cannot be read: {error}") from None


def _to_event(kind: Any, at_ms: Any, *columns: Any) -> Timer:
    timer = list(columns)
    try:
        if timer[_KEYS] is not None:
            timer[_KEYS] = msgspec.json.decode(timer[_KEYS])
        return msgspec.convert((kind, at_ms, timer), OldEvent, builtin_types=(bytes,)).renewed()
    except (msgspec.MsgspecError, TypeError, ValueError) as error:
        raise Damage(f"event {timer[0]} cannot be read: {error}") from None
