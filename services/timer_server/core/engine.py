"""The engine: what requests and time do to timers.

Pure: it is told the time, does no I/O, and gathers changes until `take_changes` hands them over. A request about an
ended timer may be answered with `Recall`: the caller reads that place of the log and asks again.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from timer_protocol.durations import MS_PER_SECOND, NS_PER_MS, check_duration, total_ms
from timer_protocol.errors import ErrorCode, Refusal, limit_reached
from timer_protocol.ids import check_id
from timer_protocol.limits import Limits
from timer_protocol.messages import (
    CancelParams,
    ExtendParams,
    GetParams,
    ListParams,
    PauseParams,
    RestartParams,
    ResumeParams,
    StartParams,
    State,
    StateCounts,
)
from timer_protocol.plurals import counted
from timer_server.core.keys import knows, remembering
from timer_server.core.ledger import Changes, Ledger, LogEnds, Recall
from timer_server.core.model import NUMBER_OF, STARTED, Countdown, Entry, Revision
from timer_server.core.payloads import check_payload, is_same_json
from timer_server.core.records import SURELY_SMALL_BYTES, is_large
from timer_server.core.transitions import TRANSITIONS, Change, Refuse, Request
from timer_server.limits import SCAN_MAXIMUM

ENTRY_BYTES = 1_000
"""What an entry takes in the store at most, besides a large label and payload."""

_NO_LIMIT = float("inf")

TimerParams = StartParams | GetParams | PauseParams | ResumeParams | CancelParams | ExtendParams | RestartParams


class Listing(NamedTuple):
    """A page of timers in the order of their ids: `next` is the id to go on after, None at the end."""

    entries: list[Countdown | Recall]
    next: str | None
    scanned: int


class Engine:
    """All timers, and the rules for changing them. Moments are nanoseconds on the server's timeline, in order."""

    def __init__(self, limits: Limits, new_id: Callable[[int], str]) -> None:
        self._limits = limits
        self._new_id = new_id
        self._ledger = Ledger()
        self._oldest_at_ms: int | None = None
        self._left_bytes = _NO_LIMIT

    @property
    def last_seq(self) -> int:
        """The `seq` of the last event."""
        return self._ledger.last_seq

    @property
    def horizon(self) -> int:
        """Entries up to this place may have been removed by retention."""
        return self._ledger.horizon

    @property
    def horizon_seq(self) -> int:
        """Events up to this `seq` may have been removed by retention."""
        return self._ledger.horizon_seq

    def restore(self, entries: Iterable[Entry], ends: LogEnds, holder_at: Callable[[int], Countdown]) -> None:
        """Loads the log from its entries, in order. `holder_at` reads an entry that holds the spec of others."""
        self._ledger.restore(entries, ends, holder_at)

    def take_changes(self) -> Changes:
        """The changes since the last call. Nobody is told of them before they are durable."""
        return self._ledger.take_changes()

    def counts(self) -> StateCounts:
        """How many timers are in each state."""
        return self._ledger.counts()

    def limit_growth(self, left_bytes: int | None) -> None:
        """From now on no more than so many bytes are added to the log, but for what ends timers; None is no limit."""
        self._left_bytes = _NO_LIMIT if left_bytes is None else left_bytes

    # Requests

    def handle(self, params: TimerParams, now_ns: int, recalled: Countdown | None = None) -> Countdown | Recall:
        """Applies a request about one timer and returns the timer after it.

        A timer whose deadline has passed fires first, so the outcome does not depend on how busy the server is.
        Raises `Refusal` where the request is not possible; nothing changes then.
        """
        if isinstance(params, StartParams):
            return self._start(params, now_ns, recalled)
        found = self._find(params.id, now_ns, recalled)
        if isinstance(found, Recall):
            return found
        if found is None:
            raise _refusal(ErrorCode.TIMER_NOT_FOUND, params.id, "is not there: never started, or ended and forgotten")
        if isinstance(params, GetParams):
            return found
        key = params.key
        keys = found.keys
        if key is not None and knows(keys, key):
            return found
        request, effect = _EFFECTS[type(params)]
        change = _permitted(request, found)
        if change is None:
            return found
        if found.has_ended:
            self._check_count()
        if request != "cancel":
            self._take_room(ENTRY_BYTES)
        changed = effect(found, params, now_ns, self._limits)
        after = self._changed(found, change, now_ns, changed, keys if key is None else remembering(keys, key))
        self._ledger.change(after, found)
        return after

    def list_page(self, params: ListParams, scan: int = SCAN_MAXIMUM) -> Listing:
        """A page of timers, found among the next `scan` ids. It may hold fewer than the limit and not be the last."""
        entries: list[Countdown | Recall] = []
        scanned, last = 0, None
        for timer_id, entry in self._ledger.page(params.after, params.prefix, params.state):
            if len(entries) == params.limit or scanned == scan:
                return Listing(entries, last, scanned)
            scanned, last = scanned + 1, timer_id
            if entry is not None:
                entries.append(entry)
        return Listing(entries, None, scanned)

    # Time

    def next_due_ns(self) -> int | None:
        """The earliest deadline; None where nothing runs."""
        next_due_ms = self._ledger.next_due_ms()
        return None if next_due_ms is None else next_due_ms * NS_PER_MS

    def expire(self, now_ns: int, most: int) -> int:
        """Fires up to `most` timers whose deadline has come, the earliest first, and returns how many."""

        def fired(timer: Countdown) -> Countdown:
            return self._fired(timer, now_ns)

        ended = 0
        while ended < most and self._ledger.end_next(now_ns // NS_PER_MS, fired):
            ended += 1
        return ended

    # Retention

    def next_forget_ns(self, durable_place: int) -> int | None:
        """When the oldest entry may be forgotten; 0 is now, or that its time has yet to be read from the log.

        None where no entry after the horizon is durable: only stored entries are looked at.
        """
        if self._ledger.horizon >= durable_place:
            return None
        if self._oldest_at_ms is None or self._ledger.ended_count > self._limits.max_timers:
            return 0
        return (self._oldest_at_ms + self._limits.retention_s * MS_PER_SECOND) * NS_PER_MS

    def forget(self, oldest: Sequence[Entry], now_ns: int) -> None:
        """Moves the horizon over the entries that are older than retention.

        `oldest` are the first stored entries after the horizon. An ended timer is forgotten with its last event; the
        last event of a pending timer stays in the log, even behind the horizon.
        """
        self._oldest_at_ms = None
        for event in oldest:
            if not self._may_forget(event.at_ms, now_ns):
                self._oldest_at_ms = event.at_ms
                break
            self._ledger.forget(event)

    def _may_forget(self, at_ms: int, now_ns: int) -> bool:
        outlived = at_ms + self._limits.retention_s * MS_PER_SECOND <= now_ns // NS_PER_MS
        return outlived or self._ledger.ended_count > self._limits.max_timers

    # One timer

    def _start(self, params: StartParams, now_ns: int, recalled: Countdown | None) -> Countdown | Recall:
        duration_ms = total_ms(params.hours, params.minutes, params.seconds)
        check_duration(duration_ms, self._limits.max_duration_s)
        payload = bytes(params.payload)
        check_payload(payload, self._limits.max_payload_bytes)
        timer_id = self._new_id(now_ns // NS_PER_MS) if params.id is None else params.id
        if self._ledger.find(timer_id) is not None:
            return self._started_before(timer_id, params, payload, now_ns, recalled)
        check_id(timer_id)
        self._check_count()
        self._take_room(ENTRY_BYTES + len(payload))
        at_ms = _round_up(now_ns)
        place = self._ledger.last_place + 1
        timer = Countdown(
            at_ms + duration_ms,
            place,
            self._ledger.others,
            STARTED,
            at_ms,
            timer_id,
            duration_ms,
            None,
            place if len(payload) + len(params.label) > SURELY_SMALL_BYTES and is_large(params.label, payload) else 0,
            params.hours,
            params.minutes,
            params.seconds,
            params.label,
            payload,
        )
        self._ledger.begin(timer)
        return timer

    def _started_before(
        self, timer_id: str, params: StartParams, payload: bytes, now_ns: int, recalled: Countdown | None
    ) -> Countdown | Recall:
        """The timer with the id already. Raises `Refusal` (id_conflict) unless the request asks for the same one."""
        found = self._find(timer_id, now_ns, recalled)
        assert found is not None
        if isinstance(found, Countdown):
            asked = (params.hours, params.minutes, params.seconds, params.label)
            is_same = asked == (found.hours, found.minutes, found.seconds, found.label)
            if not (is_same and is_same_json(payload, found.payload)):
                what = (
                    "exists with other hours, minutes, seconds, label or payload; "
                    "restart runs it again as it was, another id starts another"
                )
                raise _refusal(ErrorCode.ID_CONFLICT, timer_id, what, found.state)
        return found

    def _find(self, timer_id: str, now_ns: int, recalled: Countdown | None) -> Countdown | Recall | None:
        """The timer as it is now. One that is overdue fires first."""
        found = self._ledger.find(timer_id)
        if found is None:
            return None
        if isinstance(found, Recall):
            return recalled if recalled is not None and recalled.place == found.place else found
        if found.state == "running" and _remaining_ms(found, now_ns) <= 0:
            fired = self._fired(found, now_ns)
            self._ledger.change(fired, found)
            return fired
        return found

    def _fired(self, timer: Countdown, now_ns: int) -> Countdown:
        change = _permitted("expire", timer)
        assert change is not None
        return self._changed(timer, change, now_ns, {}, timer.keys)

    def _changed(
        self, timer: Countdown, change: Change, now_ns: int, changed: dict[str, Any], keys: bytes
    ) -> Countdown:
        """The next version of a timer, not yet logged: `changed` has its fields, and `remaining_ms` where it pauses."""
        elapsed_ms = _round_up(now_ns) - changed.get("started_at_ms", timer.started_at_ms)
        return replace(
            timer,
            place=self._ledger.last_place + 1,
            others=self._ledger.others,
            kind_number=NUMBER_OF[change.kind],
            revision=Revision(timer.version + 1, elapsed_ms, changed.pop("remaining_ms", 0), keys),
            **changed,
        )

    def _take_room(self, size: int) -> None:
        """Counts what is added to the log. Raises `Refusal` (limit_reached) where the disk is nearly full."""
        if size > self._left_bytes:
            left_bytes = int(self._left_bytes)
            what = (
                f"the server's disk is nearly full: disk_bytes, what is left for starts and changes, is {left_bytes},"
                f" and this may take {size}; ends and cancellations go on, and retention makes room"
            )
            raise limit_reached("disk_bytes", left_bytes, what, later=True)
        self._left_bytes -= size

    def _check_count(self) -> None:
        pending = self._ledger.pending_count
        if pending >= self._limits.max_timers:
            what = f"{counted(pending, 'timer is', 'timers are')} pending and max_timers allows no more"
            raise limit_reached("max_timers", self._limits.max_timers, what, later=True)


def _pause(timer: Countdown, _: PauseParams, now_ns: int, __: Limits) -> dict[str, Any]:
    return {"due_at_ms": None, "remaining_ms": _remaining_ms(timer, now_ns)}


def _resume(timer: Countdown, _: ResumeParams, now_ns: int, __: Limits) -> dict[str, Any]:
    return {"due_at_ms": _round_up(now_ns) + timer.remaining_ms}


def _cancel(_: Countdown, __: CancelParams, ___: int, ____: Limits) -> dict[str, Any]:
    return {}


def _extend(timer: Countdown, params: ExtendParams, now_ns: int, limits: Limits) -> dict[str, Any]:
    """Adds time. Raises `Refusal` (invalid_params) where that is none, or the time to go would be none or too long."""
    by_ms = total_ms(params.hours, params.minutes, params.seconds)
    remaining_ms = _remaining_ms(timer, now_ns)
    if by_ms == 0:
        raise Refusal(ErrorCode.INVALID_PARAMS, "extend needs hours, minutes or seconds; they came to 0 ms")
    if remaining_ms + by_ms <= 0:
        raise Refusal(
            ErrorCode.INVALID_PARAMS,
            f"timer {timer.id!r} has {remaining_ms} ms to go and cannot be shortened by {-by_ms} ms; cancel ends it",
            remaining_ms=remaining_ms,
        )
    check_duration(remaining_ms + by_ms, limits.max_duration_s)
    changed: dict[str, Any] = {"duration_ms": timer.duration_ms + by_ms}
    if timer.due_at_ms is None:
        changed["remaining_ms"] = remaining_ms + by_ms
    else:
        changed["due_at_ms"] = timer.due_at_ms + by_ms
    return changed


def _restart(timer: Countdown, _: RestartParams, now_ns: int, __: Limits) -> dict[str, Any]:
    at_ms = _round_up(now_ns)
    duration_ms = total_ms(timer.hours, timer.minutes, timer.seconds)
    return {
        "duration_ms": duration_ms,
        "due_at_ms": at_ms + duration_ms,
        "started_at_ms": at_ms,
    }


_EFFECTS: dict[type[Struct], tuple[Request, Callable[[Countdown, Any, int, Limits], dict[str, Any]]]] = {
    PauseParams: ("pause", _pause),
    ResumeParams: ("resume", _resume),
    CancelParams: ("cancel", _cancel),
    ExtendParams: ("extend", _extend),
    RestartParams: ("restart", _restart),
}
"""For each request that changes a timer: its name in the table of transitions, and what sets the fields."""


def _permitted(request: Request, timer: Countdown) -> Change | None:
    """The change in the table of transitions; None where nothing changes. Raises `Refusal`."""
    transition = TRANSITIONS[timer.state, request]
    if isinstance(transition, Refuse):
        is_so = "has fired" if timer.state == "fired" else f"is {timer.state}"
        raise _refusal(transition.code, timer.id, f"{is_so}: {request} is not possible, restart is", timer.state)
    return transition if isinstance(transition, Change) else None


def _remaining_ms(timer: Countdown, now_ns: int) -> int:
    """Time to go, rounded up to whole milliseconds; zero or less once the deadline has passed."""
    if timer.due_at_ms is None:
        return timer.remaining_ms
    return min(timer.due_at_ms - now_ns // NS_PER_MS, timer.duration_ms)


def _round_up(now_ns: int) -> int:
    return -(-now_ns // NS_PER_MS)


def _refusal(code: ErrorCode, timer_id: str, what: str, state: State | None = None) -> Refusal:
    helpful = {} if state is None else {"state": state}
    return Refusal(code, f"timer {timer_id!r} {what}", id=timer_id, **helpful)
