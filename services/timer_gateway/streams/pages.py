"""Pages of events, as the server gives them. Their JSON goes on as it is, decoded as far as is needed to know whose."""

from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import Raw, Struct

from timer_gateway.streams.event_text import data_lines


class WrittenEvent(Struct, gc=False):
    """An event as it is sent to streams."""

    topic: str
    """The timer's id, a space and the kind: what prefixes are compared with."""
    log: str
    seq: int
    lines: bytes
    """The end of its message, from the data on."""
    cursor: str = ""
    """The text of the cursor after it, for those who have all before it; empty until somebody needs it."""


@dataclass(frozen=True, slots=True)
class Page:
    """Events after a cursor, and the cursor after them; see `EventPage`."""

    events: list[WrittenEvent]
    next: dict[str, int]
    more: bool = False
    truncated: bool = False

    @property
    def start(self) -> dict[str, int]:
        """A cursor after which there is nothing but what is in this page and after it."""
        begun = dict(self.next)
        for event in reversed(self.events):
            begun[event.log] = event.seq - 1
        return begun


class _Id(Struct, gc=False):
    id: str


class _Head(Struct, gc=False):
    log: str
    seq: int
    kind: str
    timer: _Id


class EncodedPage(Struct):
    """A page as it comes from the server."""

    events: list[Raw]
    next: dict[str, int]
    more: bool
    truncated: bool

    def read(self) -> Page:
        """The page."""
        return Page([_written(event) for event in self.events], self.next, self.more, self.truncated)


_head: Final = msgspec.json.Decoder(_Head)


def _written(event: Raw) -> WrittenEvent:
    head = _head.decode(event)
    return WrittenEvent(f"{head.timer.id} {head.kind}", head.log, head.seq, data_lines(bytes(event)))
