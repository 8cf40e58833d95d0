"""The engine: what requests and time do to timers.

Pure: it is told the time, does no I/O, and gathers changes until `take_changes` hands them over. A request about an
ended timer may be answered with `Recall`: the caller reads that place of the log and asks again.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from timer_protocol.durations import MS_PER_SECOND, NS_PER_MS, check_duration, total_ms
from timer_protocol.errors import ErrorCode
from timer_protocol.ids import check_id
from timer_protocol.limits import Limits
from timer_protocol.messages import CancelParams, GetParams, StartParams, StateCounts
from timer_server.core.bulk_changes import BulkChanges
from timer_server.core.bulk_starts import BulkStarts
from timer_server.core.effects import STANDING, Now, WallClock, aim, remaining_ms, round_up
from timer_server.core.expiry import Expiry
from timer_server.core.ledger import Changes, Ledger, LogEnds
from timer_server.core.model import STARTED, Countdown, Entry, Recall, Revision, Wall
from timer_server.core.payloads import check_payload
from timer_server.core.places import Places
from timer_server.core.planned_timers import PlannedTimers
from timer_server.core.plans.plans import Plans
from timer_server.core.plans.registry import Registry
from timer_server.core.plans.rules import NO_CIVIL_TIME, CivilTime
from timer_server.core.plans.timers import PLAN_MARK
from timer_server.core.readers import EndReaders, NoReaders
from timer_server.core.records import SURELY_SMALL_BYTES, is_large
from timer_server.core.restoring import HolderAt, Restoring
from timer_server.core.room import ENTRY_BYTES, Room
from timer_server.core.starts import check_moment, conflict, is_asked_again
from timer_server.core.traces import packed
from timer_server.core.versions import ChangeParams, Versions, refusal


def _not_read(place: int) -> Countdown:
    raise LookupError(f"the event at {place} is in the log, which is not there to be read")


TimerParams = StartParams | GetParams | ChangeParams


class Engine:
    """All timers, and the rules for changing them. Moments are nanoseconds on the server's timeline, in order.

    `wall_clock` is asked only about timers that are bound to it, `civil` and `event_at`, which reads the event at a
    place of the log, only for plans. `places` count the timers of all shards of a server; an engine by itself has its
    own.
    """

    def __init__(  # noqa: PLR0913 - all that an engine asks of others
        self,
        limits: Limits,
        new_id: Callable[[int], str],
        wall_clock: WallClock = STANDING,
        readers: EndReaders | None = None,
        civil: CivilTime = NO_CIVIL_TIME,
        event_at: Callable[[int], Countdown] = _not_read,
        *,
        places: Places | None = None,
    ) -> None:
        self._limits = limits
        self._new_id = new_id
        self._wall_clock = wall_clock
        self._readers: EndReaders = NoReaders() if readers is None else readers
        self.places = places = Places(limits.max_timers) if places is None else places
        registry = Registry(places)
        self._ledger = Ledger(self._readers, registry, places)
        self._room = Room()
        self._versions = Versions(limits, self._ledger, places, self._readers, wall_clock)
        timers = PlannedTimers(self._ledger, self._room, wall_clock, self._find, self.change, event_at)
        self.plans = Plans(registry, timers, civil)
        self.order = self._ledger.order
        self.bulk_starts = BulkStarts(limits, self._ledger, self._room, places)
        self.bulk_changes = BulkChanges(limits, self._ledger, self._room)
        self.expiry = Expiry(self._ledger, self._versions, self._readers, wall_clock, self.plans.is_changed)
        self._oldest_at_ms: int | None = None

    @property
    def last_seq(self) -> int:
        """The `seq` of the last event."""
        return self._ledger.last_seq

    @property
    def last_place(self) -> int:
        """The place of the last entry."""
        return self._ledger.last_place

    @property
    def horizon(self) -> int:
        """Entries up to this place may have been removed by retention."""
        return self._ledger.horizon

    @property
    def horizon_seq(self) -> int:
        """Events up to this `seq` may have been removed by retention."""
        return self._ledger.horizon_seq

    def restoring(self, ends: LogEnds, holder_at: HolderAt) -> Restoring:
        """Begins to load the log that has these ends. `holder_at` finds an entry that holds the spec of others."""
        return self._ledger.restoring(ends, holder_at, self.plans.restored)

    def restore(self, parts: Iterable[Sequence[Entry]], ends: LogEnds, holder_at: HolderAt) -> None:
        """Loads the log from all its entries, in order."""
        restoring = self.restoring(ends, holder_at)
        for part in parts:
            restoring.take(part)
        restoring.finish()

    def start_server(self, now_ns: int) -> None:
        """Logs a start of the server, if there are queues: leases count from there."""
        self._ledger.start_server(round_up(now_ns))

    def at(self, place: int) -> Countdown | None:
        """The event at a place, if this turn made it."""
        return self._ledger.at(place)

    def take_changes(self) -> Changes:
        """The changes since the last call. Nobody is told of them before they are durable."""
        return self._ledger.take_changes()

    def log_news(self) -> int:
        """Logs what readers have done so far, and returns the place of the last entry."""
        self._ledger.take_news()
        return self._ledger.last_place

    def counts(self) -> StateCounts:
        """How many timers are in each state."""
        return self._ledger.counts()

    def limit_growth(self, left_bytes: int | None) -> None:
        """From now on no more than so many bytes are added to the log, but for what ends timers; None is no limit."""
        self._room.limit_growth(left_bytes)

    def take_room(self, size: int) -> None:
        """Counts what is added to the log. Raises `Refusal` (limit_reached) where the disk is nearly full."""
        self._room.take_bytes(size)

    def leave(self) -> None:
        """Takes its timers out of `places`: the shard is another server's from now on."""
        self.places.leave(self._ledger)

    def come_back(self) -> None:
        """Counts its timers again, as the shard stays with this server after all."""
        self.places.join(self._ledger)

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
            raise refusal(ErrorCode.TIMER_NOT_FOUND, params.id, "is not there: never started, or ended and forgotten")
        return found if isinstance(params, GetParams) else self.change(found, params, now_ns)

    def change(self, timer: Countdown, params: ChangeParams, now_ns: int) -> Countdown:
        """Applies a request to a timer as `handle` has found it, and returns the timer after it. Raises `Refusal`."""
        after = self._versions.after(timer, params, now_ns)
        if after is not timer:
            if not isinstance(params, CancelParams):
                self._room.take_bytes(ENTRY_BYTES)
            self._change_to(after, timer, now_ns)
        return after

    def would_change(self, timer: Countdown, params: ChangeParams, now_ns: int, begun: Mapping[str, int]) -> bool:
        """Whether `change` would change a timer, if more were pending than are: so many below each prefix.

        Raises `Refusal`.
        """
        return self._versions.after(timer, params, now_ns, begun) is not timer

    # Time: see `expiry`

    def next_due_ns(self) -> int | None:
        """The earliest deadline; None where nothing runs."""
        return self.expiry.next_due_ns()

    def expire(self, now_ns: int, most: int) -> int:
        """Fires up to `most` timers whose deadline has come, the earliest first, and returns how many."""
        return self.expiry.expire(now_ns, most)

    # Retention

    def next_forget_ns(self, durable_place: int) -> int | None:
        """When the oldest entry may be forgotten; 0 is now, or that its time has yet to be read from the log.

        None where no entry after the horizon is durable, as only stored entries are looked at, or where readers have
        yet to take up what comes.
        """
        if self._ledger.has_unneeded:
            return 0
        waits_at = self._readers.waits_at
        if self._ledger.horizon >= (durable_place if waits_at is None else min(waits_at, durable_place)):
            return None
        if self._oldest_at_ms is None or self._ledger.forgets_early:
            return 0
        return (self._oldest_at_ms + self._limits.retention_s * MS_PER_SECOND) * NS_PER_MS

    def forget(self, oldest: Sequence[Entry], now_ns: int) -> None:
        """Moves the horizon over the entries that are older than retention.

        `oldest` are the first stored entries after the horizon. An ended timer is forgotten with its last event; the
        last event of a pending timer stays in the log, even behind the horizon, and so does what readers need.
        """
        if self._readers.has_news:
            self._ledger.take_news()
        self._oldest_at_ms = None
        waits_at = self._readers.waits_at
        for entry in oldest:
            is_waited_for = waits_at is not None and entry.place > waits_at
            if is_waited_for or not self._may_forget(entry.at_ms, now_ns):
                self._oldest_at_ms = entry.at_ms
                break
            self._ledger.forget(entry)

    def _may_forget(self, at_ms: int, now_ns: int) -> bool:
        outlived = at_ms + self._limits.retention_s * MS_PER_SECOND <= now_ns // NS_PER_MS
        return outlived or self._ledger.forgets_early

    # One timer

    def _start(self, params: StartParams, now_ns: int, recalled: Countdown | None) -> Countdown | Recall:
        duration_ms = total_ms(params.hours, params.minutes, params.seconds)
        if params.at is None and params.zone is None and params.past == "refuse":
            check_duration(duration_ms, self._limits.max_duration_s)
        else:
            check_moment(params)
        payload = bytes(params.payload)
        check_payload(payload, self._limits.max_payload_bytes)
        trace = packed(params.trace) if params.trace else b""
        timer_id = self._new_id(now_ns // NS_PER_MS) if params.id is None else params.id
        if self._ledger.find(timer_id) is not None:
            return self._started_before(timer_id, params, payload, now_ns, recalled)
        check_id(timer_id)
        at_ms, revision = round_up(now_ns), None
        due_at_ms = at_ms + duration_ms
        if params.at is not None:
            now, due_at_ms = self._versions.now(now_ns), self._wall_clock.moment_ms(params.at, params.zone)
            wall = Wall(params.at, params.zone, due_at_ms, params.past == "fire", now.ahead_ms)
            duration_ms, revision = aim(wall, now, self._limits), Revision(1, wall=wall)
        room, spec_bytes = self._room, len(payload) + len(trace)
        size = ENTRY_BYTES + spec_bytes
        self.places.check(timer_id)
        if size > room.left_bytes:  # not by a call: this is the way of every start
            raise room.no_bytes(size)
        room.left_bytes -= size
        place = self._ledger.last_place + 1
        timer = Countdown(
            due_at_ms,
            place,
            self._ledger.others,
            STARTED,
            at_ms,
            timer_id,
            duration_ms,
            revision,
            place if spec_bytes + len(params.label) > SURELY_SMALL_BYTES and is_large(params.label, spec_bytes) else 0,
            params.hours,
            params.minutes,
            params.seconds,
            params.label,
            payload,
        )
        self._ledger.begin(timer, trace)
        return timer

    def _started_before(
        self, timer_id: str, params: StartParams, payload: bytes, now_ns: int, recalled: Countdown | None
    ) -> Countdown | Recall:
        """The timer with the id already. Raises `Refusal` (id_conflict) unless the request asks for the same one."""
        found = self._find(timer_id, now_ns, recalled)
        assert found is not None
        if isinstance(found, Countdown) and not is_asked_again(params, payload, found):
            what = conflict(found, now_ns // NS_PER_MS, self._limits.retention_s)
            raise refusal(ErrorCode.ID_CONFLICT, timer_id, what, found.state)
        return found

    def _find(self, timer_id: str, now_ns: int, recalled: Countdown | None = None) -> Countdown | Recall | None:
        """The timer as it is now. One that is overdue fires first."""
        found = self._ledger.find(timer_id)
        if found is None:
            return None
        if isinstance(found, Recall):
            return recalled if recalled is not None and recalled.place == found.place else found
        if found.state == "running":
            now = Now(now_ns) if found.wall is None else self._versions.now(now_ns)
            if remaining_ms(found, now) <= 0:
                self._change_to(self._versions.fired(found, now), found, now_ns)
                return self._ledger.find(timer_id)  # as it was logged, with its trace
        return found

    def _change_to(self, timer: Countdown, before: Countdown, now_ns: int) -> None:
        """Logs the new version of a timer, and has its plan go on if that has waited for it."""
        self._ledger.change(timer, before)
        if PLAN_MARK in timer.id:
            self.plans.is_changed(timer, now_ns)
