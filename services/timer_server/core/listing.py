"""Pages of timers, of one shard or of several together: by their ids, or the running ones by their deadlines."""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from timer_protocol.durations import NS_PER_MS
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.messages import STATES, ListParams, State
from timer_server.core.effects import round_up
from timer_server.core.id_index import in_order
from timer_server.core.model import Countdown, Recall
from timer_server.core.timer_order import TimerOrder

_RUNNING: tuple[State, ...] = ("running",)


class Line(NamedTuple):
    """The timers of one shard in order, and by how much its timeline is ahead of the clock that all are listed by."""

    order: TimerOrder
    ahead_ns: int = 0

    def before_ms(self, moment_ms: int | None) -> int | None:
        """The moment on its timeline, rounded up, so that the same timers are due before it."""
        return None if moment_ms is None else moment_ms + round_up(self.ahead_ns)

    def by_deadline(self, prefix: str, due_before_ms: int | None) -> Iterator[tuple[int, Countdown | None]]:
        """The running timers, each with when it is due by the common clock, in nanoseconds."""
        for due_ms, timer in self.order.by_deadline(prefix, self.before_ms(due_before_ms)):
            yield due_ms * NS_PER_MS - self.ahead_ns, timer


class Listing(NamedTuple):
    """A page of timers. `next` is the id to go on after, None at the end.

    In the order of deadlines there is one page. `due_ns` are the deadlines by the common clock, and it has all that was
    asked for up to `reached_ns`, or all where that is None.
    """

    entries: list[Countdown | Recall]
    next: str | None
    scanned: int
    due_ns: Sequence[int] = ()
    reached_ns: int | None = None

    @property
    def is_complete(self) -> bool:
        """Whether a page in the order of deadlines has all that was asked for."""
        return self.reached_ns is None


def list_page(lines: Sequence[Line], params: ListParams, scan: int) -> Listing:
    """A page of the timers of some shards, found among the next `scan` of them. It may hold fewer than the limit and
    not be the last. Raises `Refusal` (invalid_params) for params that make no sense together."""
    states = _states(params)
    if params.order == "due":
        return _by_deadline(lines, params, scan)
    entries: list[Countdown | Recall] = []
    scanned, last = 0, None
    of_lines = [
        line.order.by_id(params.after, params.prefix, states, line.before_ms(params.due_before_ms)) for line in lines
    ]
    for timer_id, entry in in_order(of_lines):
        if len(entries) == params.limit or scanned == scan:
            return Listing(entries, last, scanned)
        scanned, last = scanned + 1, timer_id
        if entry is not None:
            entries.append(entry)
    return Listing(entries, None, scanned)


def _by_deadline(lines: Sequence[Line], params: ListParams, scan: int) -> Listing:
    entries: list[Countdown | Recall] = []
    due_ns: list[int] = []
    scanned, reached_ns = 0, 0
    for moment_ns, timer in in_order([line.by_deadline(params.prefix, params.due_before_ms) for line in lines]):
        if scanned == scan or (timer is not None and len(entries) == params.limit):
            return Listing(entries, None, scanned, due_ns, reached_ns)
        scanned, reached_ns = scanned + 1, moment_ns
        if timer is not None:
            entries.append(timer)
            due_ns.append(moment_ns)
    return Listing(entries, None, scanned, due_ns)


def _states(params: ListParams) -> Collection[State]:
    """The states that are asked for. Raises `Refusal` (invalid_params) where params exclude one another."""
    if params.state is not None and params.states is not None:
        raise Refusal(ErrorCode.INVALID_PARAMS, "state and states say the same: give one of them")
    if params.order == "due" and params.after is not None:
        raise Refusal(
            ErrorCode.INVALID_PARAMS, "after goes on in the order of ids; in the order of deadlines it cannot"
        )
    asked = params.states if params.state is None else (params.state,)
    if params.order == "id" and params.due_before_ms is None:
        return STATES if asked is None else asked
    if asked is not None and set(asked) != {"running"}:
        what = "order 'due'" if params.order == "due" else "due_before_ms"
        raise Refusal(
            ErrorCode.INVALID_PARAMS, f"{what} lists running timers only: leave state and states out, or say running"
        )
    return _RUNNING
