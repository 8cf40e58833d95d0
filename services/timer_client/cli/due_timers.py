"""The timers that `timer list` finds by their deadlines."""

from collections.abc import Iterator

from timer_client.cli.amounts import Amounts
from timer_client.client import TimerClient
from timer_protocol.durations import total_ms
from timer_protocol.limits import PAGE_MAXIMUM
from timer_protocol.messages import Timer, TimerPage


def due_before_ms(client: TimerClient, within: Amounts) -> int:
    """The moment that lies so far ahead, by the server's clock."""
    return max(standing.now_ms for standing in client.info().logs.values()) + total_ms(*within)


def next_due(client: TimerClient, prefix: str, before_ms: int | None, limit: int | None) -> TimerPage:
    """The running timers that fire next."""
    most = PAGE_MAXIMUM if limit is None else min(limit, PAGE_MAXIMUM)
    return client.list(prefix, limit=most, due_before_ms=before_ms, order="due", omit=["payload"])


def due_by_id(client: TimerClient, prefix: str, before_ms: int) -> Iterator[Timer]:
    """The running timers that fire before a moment, in the order of their ids."""
    after = None
    while True:
        page = client.list(prefix, after=after, limit=PAGE_MAXIMUM, due_before_ms=before_ms)
        yield from page.timers
        if page.next is None:
            return
        after = page.next
