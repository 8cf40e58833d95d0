"""The place of one stream among the events. No socket and no clock."""

from collections.abc import Callable, Iterable
from typing import Final

from timer_gateway.streams.cursors import Positions, reaches, read_cursor, text_of
from timer_gateway.streams.event_text import id_line
from timer_gateway.streams.pages import WrittenEvent

WAITING_BYTES: Final = 65_536
"""What is held for a reader that does not take it. One with more falls behind, and holds nothing."""


class Reader:
    """One who wants the events whose topics begin with `prefix`, each once, from a cursor on.

    It is in one of three places:

    - **live**: it has all that is kept, and what comes is put into what waits for it.
    - **among the events that are kept**, which it reads block by block (`block`). Nothing is held for it.
    - **behind**: it has a cursor and no place. Nothing is held for it.

    While it has what the feed has, the cursor of the feed is also its own, and the text of that is made once for all.
    Else it has a `cursor` of its own: after it has come back, or where it knows more of a log than the feed.
    """

    def __init__(self, prefix: str, cursor: Positions | None, news: Callable[[], None]) -> None:
        self.prefix: Final = prefix
        self.news: Final = news
        """Called when there may be something for it."""
        self.is_live = False
        self.block: int | None = None
        """The number of the block that it reads next."""
        self.is_vouched_for = False
        """Whether its cursor is one of this store: the server has told it."""
        self.events_given = 0
        self._cursor = None if cursor is None else dict(cursor)
        self._shared: str | None = None
        """The text of the feed's cursor after the last that it was given, where it has none of its own."""
        self._waiting: list[WrittenEvent] = []
        self._waiting_bytes = 0

    @property
    def is_behind(self) -> bool:
        """Whether it has no place among the events."""
        return not self.is_live and self.block is None

    @property
    def cursor(self) -> dict[str, int] | None:
        """Its own cursor, after the last event that it was given; None where it shares that of the feed, or has none
        yet, as it is to begin at the end of the logs."""
        return self._cursor

    @property
    def cursor_text(self) -> str | None:
        """The text of the cursor after the last event that it was given; None where it has none yet."""
        return self._shared if self._cursor is None else text_of(self._cursor)

    def put(self, event: WrittenEvent) -> None:
        """Has an event wait for it. Where that is too much it falls behind: it does not take what it gets."""
        self._waiting.append(event)
        self._waiting_bytes += len(event.lines)
        if self._waiting_bytes > WAITING_BYTES:
            self.fall_behind()

    def take_waiting(self) -> list[bytes]:
        """The lines of what waits for it."""
        events, self._waiting, self._waiting_bytes = self._waiting, [], 0
        return self.lines_of(events)

    def lines_of(self, events: Iterable[WrittenEvent]) -> list[bytes]:
        """The lines of events that it wants, but for those that it has had. Its cursor moves past them."""
        own = self._cursor
        lines: list[bytes] = []
        for event in events:
            if own is None:
                self._shared = event.cursor
                lines += (id_line(event.cursor), event.lines)
            elif event.seq > own.get(event.log, 0):
                own[event.log] = event.seq
                lines += (id_line(text_of(own)), event.lines)
        self.events_given += len(lines) // 2
        return lines

    def go_to(self, cursor: Positions) -> None:
        """Gives it a cursor of its own."""
        self._cursor, self._shared = dict(cursor), None

    def pass_by(self, cursor: Positions) -> None:
        """Notes that it has all up to a cursor of the feed, besides what it had before."""
        own = self._cursor or {}
        self.go_to({**own, **{log: seq for log, seq in cursor.items() if own.get(log, 0) < seq}})

    def share(self, cursor: Positions, text: str) -> None:
        """Notes that it has all that the feed has, which is at this cursor. It shares that unless it knows more."""
        if self._cursor is None or reaches(cursor, self._cursor):
            self._cursor, self._shared = None, text

    def read_from(self, block: int) -> None:
        """Has it read the blocks that are kept, from this one on."""
        self.is_live, self.block = False, block

    def join(self) -> None:
        """Makes it live."""
        self.is_live, self.block = True, None

    def fall_behind(self) -> None:
        """Takes its place from it, and what waits for it: it goes on like one that was cut off and comes back."""
        self.is_live, self.block = False, None
        self._waiting, self._waiting_bytes = [], 0
        if self._shared is not None:
            self.go_to(read_cursor(self._shared) or {})
