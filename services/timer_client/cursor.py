"""Cursors: positions in the event logs, as values that can be kept, compared and written down."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from timer_client.arguments import shown
from timer_client.errors import InvalidArgument
from timer_protocol.limits import LOG_ID_CHARACTERS, LOGS_MAXIMUM

SEQ_MAXIMUM: Final = 2**63 - 1

START: Final = "start"
NOW: Final = "now"

FORMS: Final = 'a Cursor, its text such as "hfBTrOFTY0c:17", "start" or "now"'

_LOG_ID = re.compile(rf"[A-Za-z0-9_-]{{1,{LOG_ID_CHARACTERS}}}")
_SEQ = re.compile(r"0|[1-9][0-9]{0,18}")


class Cursor(Mapping[str, int]):
    """The last `seq` seen of each log. Immutable; the empty one is the beginning.

    `str` gives its text: `log:seq`, several of them joined by commas in the order of the logs' ids, or `start` where it
    is empty. `Cursor.parse` reads that text.
    """

    __slots__ = ("_positions",)

    def __init__(self, positions: Mapping[str, int] | None = None) -> None:
        given = {} if positions is None else positions
        if not isinstance(given, Mapping):
            raise InvalidArgument(f"a cursor is made of a mapping from logs to seq, not of {shown(given)}")
        if len(given) > LOGS_MAXIMUM:
            raise InvalidArgument(f"a cursor names at most {LOGS_MAXIMUM} logs, not {len(given)}")
        for log, seq in given.items():
            _verify(log, seq)
        self._positions: Final = dict(sorted(given.items()))

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """The cursor in a text. Raises `InvalidArgument`."""
        if not isinstance(text, str):
            raise InvalidArgument(f"the text of a cursor is text, not {shown(text)}")
        if text == START:
            return cls()
        positions: dict[str, int] = {}
        for part in text.split(","):
            log, _, seq = part.partition(":")
            if not _SEQ.fullmatch(seq):
                raise InvalidArgument(f'{shown(text)} is no cursor: that is "start", or log:seq joined by commas')
            if log in positions:
                raise InvalidArgument(f"{shown(text)} is no cursor: it names the log {log} twice")
            positions[log] = int(seq)
        return cls(positions)

    def __getitem__(self, log: str) -> int:
        """The last `seq` seen of a log."""
        return self._positions[log]

    def __iter__(self) -> Iterator[str]:
        """The ids of the logs, sorted."""
        return iter(self._positions)

    def __len__(self) -> int:
        """The number of logs."""
        return len(self._positions)

    def __hash__(self) -> int:
        """The same for equal cursors."""
        return hash(frozenset(self._positions.items()))

    def __str__(self) -> str:
        """The text that `parse` reads."""
        return ",".join(f"{log}:{seq}" for log, seq in self._positions.items()) or START

    def __repr__(self) -> str:
        """The expression that makes it."""
        return f"Cursor({self._positions!r})"

    def __reduce__(self) -> tuple[type["Cursor"], tuple[dict[str, int]]]:
        """How pickle makes it again."""
        return Cursor, (self._positions,)


After = Mapping[str, int] | str
"""Where to begin: a `Cursor` or another mapping from logs to `seq`, the text of a cursor, `"start"` or `"now"`."""


def cursor_after(after: After) -> Cursor | None:
    """The cursor to begin after; None for `"now"`. Raises `InvalidArgument`."""
    if isinstance(after, Cursor):
        return after
    if isinstance(after, str):
        return None if after == NOW else Cursor.parse(after)
    if isinstance(after, Mapping):
        return Cursor(after)
    raise InvalidArgument(f"after is {FORMS}; the {type(after).__name__} {shown(after)} says nothing of the log")


def _verify(log: object, seq: object) -> None:
    if not isinstance(log, str) or not _LOG_ID.fullmatch(log):
        raise InvalidArgument(f"a log's id has 1 to {LOG_ID_CHARACTERS} of A-Z a-z 0-9 _ -, which {shown(log)} has not")
    if not isinstance(seq, int) or isinstance(seq, bool) or not 0 <= seq <= SEQ_MAXIMUM:
        raise InvalidArgument(f"the seq of a log is a whole number from 0 to {SEQ_MAXIMUM}, not {shown(seq)}")
