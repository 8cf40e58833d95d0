"""The events that the gateway has heard last, and what each stream gets of them. No socket and no clock.

Events come from the server in pages, each with the cursor after it. They are kept, in blocks, as far as there is room.
A stream that comes back with a cursor goes on among them; where they do not reach back so far, it reads pages of its
own from the server (`take_page`) until they do.

**What is kept need not be all events.** The server is asked for those whose topics begin with what the prefixes of all
readers have in common, so that one timer on a busy server costs little. Hence each block tells which prefix it was read
for, and a reader goes on there only if all it wants is in the block and in all that follow.

**A cursor in the kept events.** A reader with a cursor begins at a block that starts at or before it, and passes over
what it has had. So nothing has to be known of how events of several logs were mixed when the cursor was made, by this
gateway or another one.

**Where events were lost** (a page is truncated, or a log is gone) all begins anew. Each reader falls behind, asks the
server from its own cursor, and so gets to know whether it has lost anything.

An event costs a look-up for each length of a prefix that somebody has, and a step for each reader that wants it.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from timer_gateway.streams import event_text
from timer_gateway.streams.cursors import Positions, reaches, text_of
from timer_gateway.streams.pages import Page, WrittenEvent
from timer_gateway.streams.prefix_index import PrefixIndex
from timer_gateway.streams.reader import Reader

KEPT_BYTES: Final = 64 * 1024 * 1024
"""Events kept: a hundred thousand common ones, hours of most services and seconds of the busiest."""

BLOCK_EVENTS: Final = 256
BLOCK_BYTES: Final = 65_536
"""A block ends with the event that goes beyond it: what a reader that comes back is given at once."""

BLOCKS_AT_ONCE: Final = 32
"""Blocks searched in one step for a reader that comes back: a fraction of a millisecond."""

_EVENT_BYTES = 350
_LOG_BYTES = 100
"""What an event takes beside its lines, and a log in the cursor of a block."""


class _Block:
    """Some events in the order in which they came: those below `prefix` after the cursor `start`."""

    def __init__(self, prefix: str, start: Positions) -> None:
        self.prefix: Final = prefix
        self.start: Final = dict(start)
        self._topics: list[str] = []
        self._events: list[WrittenEvent] = []
        self.size_bytes = _EVENT_BYTES + _LOG_BYTES * len(start)

    @property
    def is_full(self) -> bool:
        return len(self._events) >= BLOCK_EVENTS or self.size_bytes >= BLOCK_BYTES

    def add(self, event: WrittenEvent) -> int:
        """Adds an event, and returns the bytes that it takes."""
        self._topics.append(event.topic)
        self._events.append(event)
        size_bytes = _EVENT_BYTES + len(event.lines)
        self.size_bytes += size_bytes
        return size_bytes

    def wanted(self, prefix: str) -> list[WrittenEvent]:
        return [self._events[place] for place, topic in enumerate(self._topics) if topic.startswith(prefix)]


class Feed:
    """The kept events, and the readers."""

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self.cursor: dict[str, int] | None = None
        """Where it is in the logs; None before it has begun."""
        self.kept_bytes = 0
        """What the kept events take."""
        self._most_bytes = kept_bytes
        self._text: str | None = None
        self._blocks: deque[_Block] = deque()
        self._first = 0
        """The number of the first block."""
        self._readers: PrefixIndex[Reader] = PrefixIndex()

    @property
    def has_readers(self) -> bool:
        """Whether anybody reads."""
        return bool(self._readers)

    @property
    def prefix(self) -> str:
        """What the topics of all events begin with that anybody wants."""
        return self._readers.common

    def open(self, prefix: str, cursor: Positions | None, news: Callable[[], None]) -> Reader:
        """A new reader. Without a cursor it begins at the end of the logs, which the server tells by a page."""
        reader = Reader(prefix, cursor, news)
        self._readers.add(prefix, reader)
        return reader

    def close(self, reader: Reader) -> None:
        """Ends a reader."""
        self._readers.remove(reader.prefix, reader)

    def begin(self, cursor: Positions) -> None:
        """Goes on from a cursor, with nothing kept. All readers are behind."""
        self._forget()
        self.cursor = dict(cursor)
        for reader in self._readers:
            reader.fall_behind()
            reader.is_vouched_for = False
        self.tell_all()

    def end(self) -> None:
        """Forgets everything."""
        self._forget()
        self.cursor = None

    def tell_all(self) -> None:
        """Lets all readers know that there may be something for them."""
        for reader in self._readers:
            reader.news()

    def take(self, page: Page, prefix: str) -> None:
        """Takes the page after its cursor, of all events whose topics begin with `prefix`."""
        assert self.cursor is not None
        if page.truncated or not self.cursor.keys() <= page.next.keys():
            self.begin(page.start)
        if not self._blocks or self._blocks[-1].prefix != prefix:
            self._begin_block(prefix)  # also where nothing was found: other prefixes were not looked for
        told: dict[Reader, None] = {}
        for event in page.events:
            self._keep(event)
            self.cursor[event.log] = event.seq
            for reader in self._readers.matching(event.topic):
                if reader.is_live:
                    event.cursor = event.cursor or text_of(self.cursor)
                    reader.put(event)
                    told[reader] = None
        self.cursor = dict(page.next)
        self._text = None
        self._make_room()
        for reader in told:
            reader.news()

    def place(self, reader: Reader) -> bool:
        """Gives a reader that is behind a place, if there is one for its cursor."""
        cursor = reader.cursor
        if self.cursor is None or cursor is None:
            return False
        if reader.is_vouched_for:
            may_be_placed = self.cursor.keys() <= cursor.keys()  # else a log is gone, which the feed will notice
        else:
            may_be_placed = cursor.keys() <= self.cursor.keys() and reaches(self.cursor, cursor)
        if not may_be_placed:
            return False
        if reaches(cursor, self.cursor):
            self._join(reader)
            return True
        number = self._first + len(self._blocks)
        for block in reversed(self._blocks):
            number -= 1
            if not reader.prefix.startswith(block.prefix):
                return False
            if reaches(cursor, block.start):
                reader.read_from(number)
                return True
        return False

    def next_lines(self, reader: Reader) -> list[bytes]:
        """What a reader gets next. None is all there is for one that is live; others are to ask again."""
        lines: list[bytes] = []
        if reader.is_live:
            lines = reader.take_waiting()
            self._share(reader)
        for _ in range(BLOCKS_AT_ONCE):
            if reader.block is None or lines:
                break
            lines = self._read_block(reader, reader.block)
        return lines

    def take_page(self, reader: Reader, page: Page) -> list[bytes]:
        """What a reader gets of the page that the server has given after its cursor.

        That something was lost is said first: whoever is cut off between would never hear of it.
        """
        lines: list[bytes] = []
        if page.truncated:
            lost_after = reader.cursor_text
            reader.go_to(page.start)
            lines.append(event_text.named("truncated", reader.cursor_text, {"lost_after": lost_after}))
        if page.events:
            lines += reader.lines_of(event for event in page.events if event.topic.startswith(reader.prefix))
        reader.go_to(page.next)
        reader.is_vouched_for = True
        return lines

    def _read_block(self, reader: Reader, number: int) -> list[bytes]:
        """What a reader gets of a block. After the last one it is live."""
        place = number - self._first
        if place < 0:
            reader.fall_behind()
            return []
        lines = reader.lines_of(self._blocks[place].wanted(reader.prefix))
        if place + 1 == len(self._blocks):
            assert self.cursor is not None
            reader.pass_by(self.cursor)
            self._join(reader)
        else:
            reader.pass_by(self._blocks[place + 1].start)
            reader.block = number + 1
        return lines

    def _join(self, reader: Reader) -> None:
        reader.join()
        self._share(reader)

    def _share(self, reader: Reader) -> None:
        """Lets a live reader for which nothing waits share the cursor."""
        assert self.cursor is not None
        if self._text is None:
            self._text = text_of(self.cursor)
        reader.share(self.cursor, self._text)

    def _keep(self, event: WrittenEvent) -> None:
        if self._blocks[-1].is_full:
            self._begin_block(self._blocks[-1].prefix)
        self.kept_bytes += self._blocks[-1].add(event)

    def _begin_block(self, prefix: str) -> None:
        assert self.cursor is not None
        self._blocks.append(_Block(prefix, self.cursor))
        self.kept_bytes += self._blocks[-1].size_bytes

    def _make_room(self) -> None:
        """Forgets the oldest blocks, but for the last."""
        while self.kept_bytes > self._most_bytes and len(self._blocks) > 1:
            self.kept_bytes -= self._blocks.popleft().size_bytes
            self._first += 1

    def _forget(self) -> None:
        self._first += len(self._blocks)
        self._blocks.clear()
        self.kept_bytes = 0
        self._text = None
