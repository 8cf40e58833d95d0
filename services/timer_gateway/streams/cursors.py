"""Cursors as plain mappings from logs to `seq`, and their text, which is the `id` of each message of a stream."""

from collections.abc import Mapping

from timer_client.cursor import START, Cursor
from timer_client.errors import InvalidArgument

Positions = Mapping[str, int]


def text_of(cursor: Positions) -> str:
    """The text of a cursor, as `Cursor` writes it. Made for each event, so what the server tells is not checked."""
    return ",".join([f"{log}:{seq}" for log, seq in sorted(cursor.items())]) or START


def read_cursor(text: str) -> dict[str, int] | None:
    """The cursor in a text; None where there is none in it."""
    try:
        return dict(Cursor.parse(text))
    except InvalidArgument:
        return None


def reaches(cursor: Positions, other: Positions) -> bool:
    """Whether a cursor is at or after another in every log. A log that it does not name is at its beginning."""
    return all(cursor.get(log, 0) >= seq for log, seq in other.items())
