"""The timers of a log as plans start and end them: what `plans.timers` asks for, done by the engine and the ledger."""

from collections.abc import Callable, Sequence

from timer_protocol.durations import NS_PER_MS
from timer_protocol.messages import CancelParams, PauseParams, ResumeParams
from timer_server.core.effects import Now, WallClock, round_up
from timer_server.core.entries import PlanPart
from timer_server.core.ledger import Ledger
from timer_server.core.model import STARTED, Countdown, Recall, Revision, Wall
from timer_server.core.plans.timers import PLAN_MARK, Occurrence
from timer_server.core.records import is_large, pack
from timer_server.core.room import ENTRY_BYTES, Room

_OCCURRENCE_ENTRIES = 3
"""What a plan adds to the log beside an end: how it stands, once or twice, and a start."""

Change = Callable[[Countdown, PauseParams | ResumeParams | CancelParams, int], Countdown]


class PlannedTimers:
    """Starts timers for plans, and changes them as requests do.

    `find` returns a timer as it is now, after what is overdue has fired, and `change` applies a request to it.
    `event_at` reads an event from the log.
    """

    def __init__(
        self,
        ledger: Ledger,
        room: Room,
        wall_clock: WallClock,
        find: Callable[[str, int], Countdown | Recall | None],
        change: Change,
        event_at: Callable[[int], Countdown],
    ) -> None:
        self._ledger = ledger
        self._room = room
        self._find = find
        self._change = change
        self._event_at = event_at
        self.wall_ahead_ns = wall_clock.ahead_ns
        self.has_place = ledger.places.has_place
        self.check_place = ledger.places.check

    def may_grow(self) -> bool:
        """Whether there is room on the disk for more than what ends timers."""
        return self._room.left_bytes >= _OCCURRENCE_ENTRIES * ENTRY_BYTES

    def is_known(self, timer_id: str) -> bool:
        """Whether there is a timer with this id."""
        return self._ledger.find(timer_id) is not None

    def is_pending(self, timer_id: str) -> bool:
        """Whether it is running or paused."""
        return self._ledger.is_pending(timer_id)

    def pending(self, timer_id: str) -> Countdown:
        """A pending timer, which may be overdue."""
        timer = self._ledger.find(timer_id)
        assert isinstance(timer, Countdown)
        return timer

    def current(self, timer_id: str, now_ns: int) -> Countdown:
        """A pending timer as it is now: if it is overdue it fires."""
        timer = self._find(timer_id, now_ns)
        assert isinstance(timer, Countdown)
        return timer

    def begin(self, occurrence: Occurrence, now_ns: int) -> Countdown:
        """Starts a timer. Where one with this id has ended, it goes on from its version."""
        before = self._ledger.find(occurrence.id)
        if isinstance(before, Recall):
            before = self._event_at(before.place)
        spec_place = self._spec_place(occurrence, now_ns)
        timer = self._started(occurrence, spec_place, 1 if before is None else before.version + 1, Now(now_ns))
        self._room.left_bytes -= ENTRY_BYTES
        if before is None:
            self._ledger.begin(timer)
        else:
            self._ledger.begin_anew(timer, before)
        return timer

    def cancel(self, timer_id: str, now_ns: int) -> None:
        """Ends a pending timer before its time."""
        self._change(self.current(timer_id, now_ns), CancelParams(timer_id), now_ns)

    def set_paused(self, timer_id: str, *, is_paused: bool, now_ns: int) -> None:
        """Pauses or resumes a pending timer. Raises `Refusal` (limit_reached) where the disk has no room for it."""
        asked = PauseParams(timer_id) if is_paused else ResumeParams(timer_id)
        self._change(self.current(timer_id, now_ns), asked, now_ns)

    def log_plan(self, plan: str, part: PlanPart, body: bytes, replaced: Sequence[int], now_ns: int) -> int:
        """Logs an entry of a plan and returns its place."""
        return self._ledger.log_plan(plan, part, body, replaced, round_up(now_ns))

    def _spec_place(self, occurrence: Occurrence, now_ns: int) -> int:
        """The place of the spec of a timer; 0 for a small one. Timers of a plan share one that is large."""
        timer_id, _, amounts, label, payload, *_ = occurrence
        if not is_large(label, len(payload)):
            return 0
        plan, before = timer_id.partition(PLAN_MARK)[0], self._ledger.last_place
        spec = Countdown(
            None, 0, 0, STARTED, 0, plan, 0, None, 0, amounts.hours, amounts.minutes, amounts.seconds, label, payload
        )
        place = self._ledger.log_spec(plan, pack(spec), round_up(now_ns))
        if place > before:
            self._room.left_bytes -= ENTRY_BYTES + len(payload)
        return place

    def _started(self, occurrence: Occurrence, spec_place: int, version: int, now: Now) -> Countdown:
        _, due_ms, amounts, label, payload, at, zone = occurrence
        at_ms, place, wall = round_up(now.ns), self._ledger.last_place + 1, None
        duration_ms = max(due_ms - at_ms, 0)
        if at is not None:
            now = Now(now.ns, self.wall_ahead_ns())
            wall = Wall(at, zone, due_ms, fires_late=True, ahead_ms=now.ahead_ms)
            duration_ms = max(due_ms - (now.ns + now.ahead_ns) // NS_PER_MS, 0)
        return Countdown(
            due_ms,
            place,
            self._ledger.others,
            STARTED,
            at_ms,
            occurrence.id,
            duration_ms,
            None if version == 1 and wall is None else Revision(version, wall=wall),
            spec_place,
            amounts.hours,
            amounts.minutes,
            amounts.seconds,
            label,
            payload,
        )
