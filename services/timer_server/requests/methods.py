"""What each method of the protocol does: it asks the engine, reads the store where it must, and shapes the result."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from msgspec import Raw
from msgspec.structs import replace

from timer_protocol import PROTOCOL, __version__
from timer_protocol.codec import encode
from timer_protocol.durations import NS_PER_MS
from timer_protocol.errors import limit_reached
from timer_protocol.limits import PAGE_BYTES, PARKED_PAGE_BYTES, REPLY_BYTES, REPLY_ENTRIES, SCAN_MAXIMUM, Limits
from timer_protocol.messages import (
    DiscoverParams,
    EventPage,
    GetParams,
    InfoParams,
    ListParams,
    ReadEventsParams,
    ServerInfo,
    Timer,
    TimerPage,
    WaitParams,
)
from timer_protocol.openrpc import describe
from timer_server.core.engine import Engine, TimerParams
from timer_server.core.ledger import Recall
from timer_server.requests.parked import WaitForEnd, WaitForEvent
from timer_server.store.base import Store

Handler = Callable[[Any, int], object]
"""Takes the params of a call and the time, and returns the result, or a wish to wait for it. May raise `Refusal`."""


ENTRY_WEIGHT = 10
"""An entry that is returned costs as much as ten that are only looked at: it is read whole, and encoded."""


@cache
def _document() -> Raw:
    return Raw(encode(describe()))


class ReplyRoom:
    """What the reply in the making may still take: bytes of payloads, and entries looked at for pages."""

    __slots__ = ("left_bytes", "left_entries")

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Begins another reply."""
        self.left_bytes = REPLY_BYTES
        self.left_entries = REPLY_ENTRIES

    def take_page(self, scanned: int, returned: int) -> None:
        """Counts the entries of a page: those that were looked at, and those among them that are in it."""
        self.left_entries -= scanned + (ENTRY_WEIGHT - 1) * returned

    def check(self) -> None:
        """Raises `Refusal` (limit_reached) where there is no room left."""
        if self.left_bytes < 0:
            raise limit_reached("reply_bytes", REPLY_BYTES, "the rest of the batch needs a message of its own")
        if self.left_entries <= 0:
            raise limit_reached("reply_entries", REPLY_ENTRIES, "the rest of the batch needs a message of its own")


class Methods:
    """The methods, bound to one engine and its store. What they return is taken from `room`."""

    def __init__(self, engine: Engine, store: Store, limits: Limits, room: ReplyRoom) -> None:
        self._engine = engine
        self._room = room
        self._store = store
        self._limits = limits

    def handlers(self) -> Mapping[str, Handler]:
        """What to call for each method."""
        return {
            "timer.start": self.timer,
            "timer.get": self.timer,
            "timer.list": self.list_timers,
            "timer.pause": self.timer,
            "timer.resume": self.timer,
            "timer.cancel": self.timer,
            "timer.extend": self.timer,
            "timer.restart": self.timer,
            "timer.wait": self.wait,
            "events.read": self.read_or_wait,
            "server.info": self.info,
            "rpc.discover": self.discover,
        }

    def timer(self, params: TimerParams, now_ns: int) -> Timer:
        """Any request about one timer."""
        timer = self._engine.handle(params, now_ns)
        if isinstance(timer, Recall):
            timer = self._engine.handle(params, now_ns, self._store.read_timer(timer.seq))
            assert not isinstance(timer, Recall)
        self._room.left_bytes -= len(timer.payload)
        return timer.view(now_ns // NS_PER_MS)

    def list_timers(self, params: ListParams, now_ns: int) -> TimerPage:
        """A page of timers, cut short where its payloads grow large."""
        listing = self._engine.list_page(params, min(SCAN_MAXIMUM, self._room.left_entries))
        self._room.take_page(listing.scanned, len(listing.entries))
        timers: list[Timer] = []
        room_bytes = min(PAGE_BYTES, self._room.left_bytes)
        for entry in listing.entries:
            if timers and room_bytes < 0:
                return TimerPage(timers, timers[-1].id)
            timer = self._store.read_timer(entry.seq) if isinstance(entry, Recall) else entry
            room_bytes -= len(timer.payload)
            self._room.left_bytes -= len(timer.payload)
            timers.append(timer.view(now_ns // NS_PER_MS))
        return TimerPage(timers, listing.next)

    def wait(self, params: WaitParams, now_ns: int) -> Timer | WaitForEnd:
        """The timer if it has ended or there is no time to wait, otherwise the wish to wait."""
        get = GetParams(params.id)
        timer = self.timer(get, now_ns)
        if timer.ended or params.wait_ms == 0:
            return timer
        return WaitForEnd(
            until_ns=now_ns + params.wait_ms * NS_PER_MS,
            woken=lambda event, then_ns: event.view(then_ns // NS_PER_MS),
            timed_out=lambda then_ns: self.timer(get, then_ns),
            timer_id=params.id,
            after_seq=self._engine.last_seq,
        )

    def read_or_wait(self, params: ReadEventsParams, now_ns: int) -> EventPage | WaitForEvent:
        """The events there are, or the wish to wait for one."""
        page, is_end = self._read(params, min(PAGE_BYTES, self._room.left_bytes))
        if page.events or page.truncated or not is_end or params.wait_ms == 0:
            return page
        # Up to `next` there is nothing for this request, so it need not be looked through again.
        rest = replace(params, after=page.next)
        return WaitForEvent(
            until_ns=now_ns + params.wait_ms * NS_PER_MS,
            woken=lambda _, __: self._read(rest, PARKED_PAGE_BYTES)[0],
            timed_out=lambda _: page,
            prefix=params.prefix,
        )

    def info(self, _: InfoParams, now_ns: int) -> ServerInfo:
        """The server about itself."""
        return ServerInfo(
            version=__version__,
            protocol=PROTOCOL,
            now_ms=now_ns // NS_PER_MS,
            seq=self._engine.last_seq,
            counts=self._engine.counts(),
            limits=self._limits,
        )

    def discover(self, _: DiscoverParams, __: int) -> Raw:
        """The OpenRPC document."""
        document = _document()
        self._room.left_bytes -= len(document)
        return document

    def _read(self, params: ReadEventsParams, room_bytes: int) -> tuple[EventPage, bool]:
        """A page of events, cut short where its payloads grow large, and whether it reaches the end of the log."""
        if params.after > self._engine.last_seq:
            # Whoever knows of later events has read another log, one this server has lost or never had.
            return EventPage([], self._engine.last_seq, truncated=True), True
        truncated = params.after < self._engine.horizon
        scan = min(SCAN_MAXIMUM, max(self._room.left_entries, params.limit))
        window = self._store.read_events(params.after, params.prefix, params.limit, scan)
        self._room.take_page(min(window.scanned_to - params.after, scan), len(window.events))
        for position, event in enumerate(window.events, 1):
            room_bytes -= len(event.payload)
            self._room.left_bytes -= len(event.payload)
            if room_bytes < 0:
                return EventPage([e.event_view() for e in window.events[:position]], event.seq, truncated), False
        # Where nothing is left up to the horizon, the next page begins behind it.
        after = max(window.scanned_to, self._engine.horizon) if window.is_end else window.scanned_to
        return EventPage([event.event_view() for event in window.events], after, truncated), window.is_end
