"""Pages of events over several servers: what each has found in its logs, and the page that this comes to."""

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from msgspec import Raw, Struct
from msgspec.json import Decoder
from msgspec.structs import replace

from timer_protocol.messages import Event, EventPage, ReadEventsParams
from timer_server.limits import PARKED_PAGE_BYTES
from timer_server.requests.asking import Asking
from timer_server.requests.gathering import Ask, Dialogue

T = TypeVar("T")


class EventsPart(Struct, Generic[T], frozen=True):
    """A page of events of some logs. `named` are the names of a cursor that they know, by themselves or an ancestor.

    Where that is none of several, the page is empty: only all together can tell whether the cursor knows any log.
    """

    events: list[T]
    next: dict[str, int]
    more: bool
    truncated: bool
    named: list[str]

    def __bool__(self) -> bool:
        """Whether there is something to tell."""
        return bool(self.events) or self.more or self.truncated


class _Head(Struct):
    log: str
    seq: int


_head = Decoder(_Head)


def page_of(parts: Sequence[EventsPart[Any]], params: ReadEventsParams) -> EventPage:
    """The page that the parts of all logs come to."""
    named = {name for part in parts for name in part.named}
    page = joined(parts, params)
    if len(named) == len(params.after):
        return page
    if named:
        return replace(page, truncated=True)
    return EventPage([], page.next, more=False, truncated=True)


def joined(parts: Sequence[EventsPart[Any]], params: ReadEventsParams) -> EventPage:
    """The page that the parts of some logs come to. What is too much for its limit is left for the next."""
    if len(parts) == 1:
        part = parts[0]
        return EventPage(part.events, part.next, part.more, part.truncated)
    # Which part comes last changes with the position of the reader.
    first = hash(tuple(params.after.values())) % len(parts)
    events = [event for part in (*parts[first:], *parts[:first]) for event in part.events]
    following = {log: seq for part in parts for log, seq in part.next.items()}
    for event in reversed(events[params.limit :]):
        log, seq = _place(event)
        following[log] = seq - 1
    more = len(events) > params.limit or any(part.more for part in parts)
    return EventPage(events[: params.limit], following, more, any(part.truncated for part in parts))


def read_over_servers(params: ReadEventsParams, asking: Asking) -> Dialogue:
    """A page of the events of all servers, or the wait for one of any. Raises `Refusal`."""
    answers = asking.by_shards((yield _asking_for(params, asking, "shards.events")))
    strange = frozenset[int]().union(*(shards for shards, part in answers if not part.named))
    parts = [part for _, part in answers if part.named or not params.after]
    if params.after and parts and strange:  # a log that a cursor does not name is read from its beginning
        whole = replace(params, after={})
        parts += asking.values((yield _asking_for(whole, asking, "shards.events", strange)))
    page = page_of(parts or [part for _, part in answers], params)
    if page.events or page.more or page.truncated or not params.wait_ms:
        return page
    asking.so_far = page
    rest = replace(params, after=page.next)
    woken = joined(asking.values((yield _asking_for(rest, asking, "shards.await_events"))), rest)
    return replace(woken, next={**page.next, **woken.next})


def _asking_for(params: ReadEventsParams, asking: Asking, method: str, numbers: frozenset[int] | None = None) -> Ask:
    """Asks each server for its share of a page, or for the first that comes in any."""
    is_wait = method == "shards.await_events"

    def params_for(some: frozenset[int]) -> ReadEventsParams:
        share = -(-params.limit * len(some) // len(asking.all))
        return replace(params, limit=share, wait_ms=params.wait_ms if is_wait else 0)

    if is_wait:
        return asking.ask(method, params_for, is_first_enough=True, page_bytes=PARKED_PAGE_BYTES)
    return asking.ask(method, params_for, numbers)


def _place(event: Event | Raw) -> tuple[str, int]:
    """The log of an event and its `seq` there."""
    if isinstance(event, Event):
        return event.log, event.seq
    head = _head.decode(event)
    return head.log, head.seq
