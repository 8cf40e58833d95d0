"""Where a reader of events goes on: its cursor, applied to the logs of the store."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol


class KnownLog(Protocol):
    """A log's id, and its ancestors: the logs it was copied from, each with the `seq` at the copy."""

    id: str
    ancestors: Mapping[str, int]


class Start(NamedTuple):
    """The `seq` after which to read each log, and whether some of what was asked for is gone."""

    after: dict[str, int]
    truncated: bool


def start_reading(cursor: Mapping[str, int], logs: Sequence[KnownLog], ends: Mapping[str, int]) -> Start:
    """Where to go on for a cursor, given the `seq` at the end of each log.

    A log that the cursor does not name is read from its beginning. A cursor that names an ancestor goes on there, at
    the `seq` of the copy at most; one beyond the end of a log goes on at that end. Unknown names are left out. Where
    all are unknown, the reader goes on at the end of every log, and has to list what there is.
    """
    positions: dict[str, int] = {}
    named: set[str] = set()
    truncated = False
    for log in logs:
        known = [(cursor[log.id], ends[log.id])] if log.id in cursor else _by_ancestors(cursor, log)
        named |= cursor.keys() & {log.id, *log.ancestors}
        if known:  # the furthest of several ancestors: a reader names two while it passes from one to the other
            seq, most = max(known, key=min)
            positions[log.id] = min(seq, most)
            truncated |= seq > most
    if cursor and not named:
        return Start(dict(ends), truncated=True)
    truncated |= len(named) < len(cursor)
    return Start({log.id: positions.get(log.id, 0) for log in logs}, truncated)


def _by_ancestors(cursor: Mapping[str, int], log: KnownLog) -> list[tuple[int, int]]:
    """The positions of a cursor in the ancestors of a log, each with the `seq` at the copy."""
    return [(cursor[name], copied) for name, copied in log.ancestors.items() if name in cursor]
