"""The queues of a log: what requests, ends and time do to them.

Pure: they are told the time and are given chance. What they do is told as drafts of entries, in order; the log gives
them their places at once, before that of any later event.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

from msgspec.structs import replace

from timer_protocol.durations import NS_PER_MS
from timer_protocol.errors import ErrorCode, Refusal, limit_reached
from timer_protocol.ids import is_valid_id
from timer_protocol.plurals import counted
from timer_protocol.queue_messages import QUEUE_CHARACTERS, PutQueueParams
from timer_server.core.entries import SHARED, Draft, Part, QueueEntry, ServerStarted
from timer_server.core.model import Countdown
from timer_server.core.queues.changes import Filling, Put, Settings
from timer_server.core.queues.deliveries import Delivery
from timer_server.core.queues.held import HeldEnds
from timer_server.core.queues.queue import GivingBack, Queue, Renewal, Settled
from timer_server.core.queues.reading import LogReader
from timer_server.core.queues.registry import Registry
from timer_server.core.queues.rules import Gone, Rule, Standing
from timer_server.core.queues.settled import SettledReceipts
from timer_server.core.queues.snapshots import Numbers, encode
from timer_server.core.queues.state import Common, QueueState
from timer_server.core.queues.undelivered import Undelivered

QUEUES_MAXIMUM = 1_000


class FillRequest(NamedTuple):
    """Asks for the events of the log below a prefix, after one place and up to another, for a queue."""

    queue: str
    prefix: str
    after: int
    to: int


class Queues:
    """All queues of a log. `core.readers` says how the engine deals with it. Moments are nanoseconds, in order.

    `chance` gives random numbers from 0 up to 1.
    """

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self._registry = Registry()
        self._undelivered = Undelivered(self._registry)
        self._common = Common(HeldEnds(self._undelivered.holds), SettledReceipts())
        self._reader = LogReader(self._registry, self._common, self._working)
        self._drafts: list[Draft] = []
        self._woken: dict[str, None] = {}
        self._due: list[tuple[int, int, str]] = []
        self._scheduled: dict[str, int] = {}
        self._serial = 0
        self._last_made = 0
        self.has_news = False
        self.waits_at: int | None = None
        self.taken_up = 0

    def __len__(self) -> int:
        return len(self._registry)

    @property
    def count(self) -> int:
        """How many queues there are."""
        return len(self._registry)

    def states(self) -> Iterator[QueueState]:
        """All queues with what they hold."""
        return (queue.state for queue in self._registry)

    # What the engine asks

    def restore(self, entry: Countdown | QueueEntry | ServerStarted) -> None:
        """Takes up an entry of the log, in order. What a start of the server did to a queue has entries of its own."""
        if isinstance(entry, Countdown):
            self._undelivered.last_offered = entry.place
            self._reader.read_end(entry)
        elif isinstance(entry, QueueEntry):
            self._reader.read_entry(entry)

    def restored(self) -> None:
        """Notes that the log has been read to its end."""
        self._reader = LogReader(self._registry, self._common, self._working)
        self._undelivered.begin_anew()
        self._common.held.count_anew(
            delivery.place for queue in self._registry for delivery in queue.state.deliveries()
        )
        for queue in self._registry:
            self._schedule(queue, 0)
            self._woken[queue.state.name] = None
        self._look_at_filling()

    def server_started(self, at_ms: int) -> None:
        """Gives time to the leases that are new since the start before."""
        for queue in self._registry:
            queue.server_started(at_ms * NS_PER_MS)
            self._schedule(queue, at_ms - 1)

    def offer(self, end: Countdown) -> None:
        """Takes up the end of a timer that has just happened."""
        self._undelivered.last_offered = end.place
        for queue in self._registry.matching(end.id):
            if queue.offer(end):
                self.taken_up += 1
                state = queue.state
                self._woken[state.name] = None
                scheduled_ms = self._scheduled.get(state.name)
                if scheduled_ms is None or end.at_ms + state.settings.keep_ms < scheduled_ms or state.is_over:
                    self._schedule(queue, end.at_ms - 1)

    def is_held(self, place: int) -> bool:
        """Whether the end at a place is needed by any queue. Asked when retention passes it."""
        held = self._common.held
        held.passed = max(held.passed, place)
        return held.is_held(place)

    def take_drafts(self) -> Sequence[Draft]:
        """The entries to log for what has been done since the last call, in order."""
        drafts, self._drafts = self._drafts, []
        self.has_news = self._common.held.has_released
        return drafts

    def take_released(self) -> Sequence[int]:
        """Some of the ends behind the horizon that no queue holds any more. There are more while there are news."""
        released = self._common.held.take_released()
        self.has_news = bool(self._drafts) or self._common.held.has_released
        return released

    # Requests

    def put(self, params: PutQueueParams, after: int, to: int, now_ns: int) -> Queue:
        """Makes a queue, or changes it. The log is complete after the place `after`, and ends at the place `to`.

        This has to be the queue's home log. Raises `Refusal` (invalid_params, limit_reached).
        """
        queue = self._registry.get(params.queue)
        if queue is None:
            self._check_new(params.queue)
            # Not the number of an earlier queue, since the entry that made it has that place or a later one.
            self._last_made = max(self._last_made, to) + 1
            settings = _changed(Settings(params.prefix), params)
            return self._make(Rule(params.queue, self._last_made, 1, settings, params.begin), after, to, now_ns)
        settings = _changed(queue.state.settings, params)
        if settings != queue.state.settings:
            self._change(queue, Put(settings, queue.state.version + 1), now_ns)
        return queue

    def hear(self, news: Rule | Gone, after: int, to: int, now_ns: int) -> None:
        """Takes up what the home of a queue tells this log; what is older than what it knows already changes nothing.

        A queue that is new here begins with what this log has now: it is complete after `after`, and ends at `to`.
        """
        queue = self._registry.get(news.queue)
        if isinstance(news, Gone):
            if queue is not None and queue.state.made <= news.made:
                self.delete(news.queue, now_ns)
            return
        if queue is not None and queue.state.made < news.made:
            self.delete(news.queue, now_ns)
            queue = None
        if queue is None:
            self._make(news, after, to, now_ns)
        elif queue.state.standing < news.standing:
            self._change(queue, Put(news.settings, news.version), now_ns)

    def rules(self) -> list[Rule]:
        """What the queues of this log are."""
        return [queue.state.rule for queue in self._registry]

    def rule(self, name: str) -> Rule | None:
        """What a queue is; None where there is none of that name."""
        queue = self._registry.get(name)
        return None if queue is None else queue.state.rule

    def standing(self, name: str) -> Standing | None:
        """What this log has heard of a queue; None where it knows of none."""
        queue = self._registry.get(name)
        return None if queue is None else queue.state.standing

    def delete(self, name: str, now_ns: int) -> bool:
        """Deletes a queue with all that it holds. Returns whether there was one."""
        queue = self._registry.get(name)
        if queue is None:
            return False
        self._registry.remove(name)
        self._scheduled.pop(name, None)
        self._woken.pop(name, None)
        queue.let_go()
        self._common.settled.forget(name)
        at_ms = now_ns // NS_PER_MS
        self._log(Draft(at_ms, SHARED, Part.WHOLE, encode(Numbers(self._common.next_number))))
        self._log(Draft(at_ms, name, Part.GONE, b""))
        self._look_at_filling()
        return True

    def find(self, name: str) -> Queue:
        """The queue of a name. Raises `Refusal` (queue_not_found)."""
        queue = self._registry.get(name)
        if queue is None:
            raise Refusal(ErrorCode.QUEUE_NOT_FOUND, f"queue {name!r} is not there", queue=name)
        return queue

    def prefix_of(self, name: str) -> str | None:
        """The prefix of a queue; None where there is no such queue."""
        queue = self._registry.get(name)
        return None if queue is None else queue.state.settings.prefix

    def page(self, prefix: str, after: str | None, limit: int) -> tuple[list[Queue], str | None]:
        """Queues whose prefix begins so, in the order of their names, and the name to go on after."""
        named = [(name, self.find(name)) for name in self._registry.names() if after is None or name > after]
        found = [queue for _, queue in named if queue.state.settings.prefix.startswith(prefix)]
        return found[:limit], found[limit - 1].state.name if len(found) > limit else None

    def has_ready(self, name: str, now_ns: int) -> bool:
        """Whether a take may find something in a queue now; False where there is no such queue."""
        queue = self._registry.get(name)
        return queue is not None and queue.has_ready(now_ns)

    def ready_count(self, name: str, now_ns: int) -> int:
        """How many ends a take finds in a queue now, or one where it may find some that are about to be ready."""
        queue = self._registry.get(name)
        return 0 if queue is None or not queue.has_ready(now_ns) else max(queue.state.ready_count, 1)

    def knows_take(self, name: str, key: str, now_ns: int) -> bool:
        """Whether a take with this key is remembered; False where there is no such queue."""
        queue = self._registry.get(name)
        return queue is not None and queue.knows_take(key, now_ns)

    def take(
        self, name: str, most: int, most_bytes: int, key: str | None, now_ns: int, *, least: int = 1
    ) -> list[Delivery]:
        """Leases the first ready ends of a queue, or those that the take with this key still leases.

        The payloads come to no more than `most_bytes`, except for the first `least`: one or none.
        """
        queue = self.find(name)
        taken = queue.take(most, most_bytes, key, now_ns, least=least)
        self._look_at(queue, now_ns)
        return taken

    def ack(self, name: str, numbers: Sequence[int], now_ns: int) -> Settled:
        """Ends leases, and is done with their ends."""
        queue = self.find(name)
        outcome = queue.ack(numbers, now_ns)
        self._look_at(queue, now_ns)
        return outcome

    def nack(self, name: str, numbers: Sequence[int], giving: GivingBack, now_ns: int) -> Settled:
        """Ends leases, and gives their ends back or up."""
        queue = self.find(name)
        outcome = queue.nack(numbers, giving, now_ns)
        self._look_at(queue, now_ns)
        return outcome

    def renew(self, name: str, numbers: Sequence[int], lease_ms: int | None, now_ns: int) -> Renewal:
        """Leases deliveries for longer."""
        queue = self.find(name)
        outcome = queue.renew(numbers, lease_ms, now_ns)
        self._look_at(queue, now_ns)
        return outcome

    def dead(self, name: str, after: int, limit: int) -> tuple[list[tuple[int, Delivery]], int | None]:
        """Dead letters in the order of their deaths, each with its number, and the number to go on after."""
        found = self.find(name).state.dead.page(after, limit + 1)
        return found[:limit], found[limit - 1][0] if len(found) > limit else None

    def deaths_before(self, name: str, moment_ms: int) -> int:
        """The number of the last death before a moment, to be read on after; 0 where there was none."""
        return self.find(name).state.dead.last_before(moment_ms)

    def revive(self, name: str, numbers: Sequence[int], now_ns: int) -> Settled:
        """Makes dead letters ready again."""
        queue = self.find(name)
        outcome = queue.revive(numbers, now_ns)
        self._look_at(queue, now_ns)
        return outcome

    def drop(self, name: str, numbers: Sequence[int], now_ns: int) -> Settled:
        """Forgets dead letters."""
        queue = self.find(name)
        outcome = queue.drop(numbers, now_ns)
        self._look_at(queue, now_ns)
        return outcome

    def take_woken(self) -> list[str]:
        """The names of queues that may have got ready ends since the last call."""
        if not self._woken:
            return []
        woken, self._woken = list(self._woken), {}
        return woken

    # Time

    def next_due_ns(self) -> int | None:
        """When there is something to do; it may be earlier than that. What is to be filled is not counted."""
        return self._due[0][0] * NS_PER_MS if self._due else None

    def step(self, now_ns: int, budget: int) -> None:
        """Does what is due within a budget: the number of timers that could be fired instead."""
        now_ms = now_ns // NS_PER_MS
        while budget > 0 and self._due and self._due[0][0] <= now_ms:
            due_ms, _, name = heappop(self._due)
            queue = self._registry.get(name)
            if queue is not None and self._scheduled.get(name) == due_ms:
                del self._scheduled[name]
                budget -= max(queue.step(now_ns, budget), 1)
                self._look_at(queue, now_ns)

    def fill_request(self) -> FillRequest | None:
        """What a queue has yet to take up; None where there is nothing."""
        for queue in self._registry:
            filling = queue.state.filling
            if filling is not None and self.waits_at == filling.after:
                return FillRequest(queue.state.name, filling.prefix, filling.after, filling.to)
        return None

    def fill(self, name: str, events: Iterable[Countdown], scanned_to: int, now_ns: int) -> None:
        """Takes up the ends among some events that were asked for: all up to a place in the log."""
        queue = self.find(name)
        queue.fill(events, scanned_to, now_ns)
        self._undelivered.begin_anew()
        self._look_at_filling()
        self._look_at(queue, now_ns)

    # Parts

    def _make(self, rule: Rule, after: int, to: int, now_ns: int) -> Queue:
        filling = None
        if rule.begin == "start" and after < to:
            filling = Filling(after, to, rule.settings.prefix, rule.settings.states)
        queue = self._working(QueueState(rule.queue, rule.settings, self._common))
        self._change(queue, Put(rule.settings, rule.version, filling, rule.made, rule.begin), now_ns)
        return queue

    def _change(self, queue: Queue, put: Put, now_ns: int) -> None:
        queue.do(put, now_ns)
        self._registry.add(queue)
        self._undelivered.begin_anew()
        self._look_at_filling()
        self._schedule(queue, now_ns // NS_PER_MS)

    def _working(self, state: QueueState) -> Queue:
        return Queue(state, self._log, self._chance)

    def _log(self, draft: Draft) -> None:
        self._drafts.append(draft)
        self.has_news = True

    def _look_at(self, queue: Queue, now_ns: int) -> None:
        """Notes what has become of a queue: whether it has ready ends, and when it is due."""
        if queue.state.ready_count:
            self._woken[queue.state.name] = None
        self._schedule(queue, now_ns // NS_PER_MS)

    def _schedule(self, queue: Queue, now_ms: int) -> None:
        """Notes when a queue is due. Those that are overdue come in turn."""
        due_ms, name = queue.next_due_ms(), queue.state.name
        if due_ms is None:
            return
        due_ms = max(due_ms, now_ms)
        scheduled_ms = self._scheduled.get(name)
        if scheduled_ms is None or due_ms < scheduled_ms:
            self._scheduled[name] = due_ms
            self._serial += 1
            heappush(self._due, (due_ms, self._serial, name))

    def _look_at_filling(self) -> None:
        places = [queue.state.filling.after for queue in self._registry if queue.state.filling is not None]
        self.waits_at = min(places, default=None)

    def _check_new(self, name: str) -> None:
        if not is_valid_id(name) or len(name) > QUEUE_CHARACTERS:
            raise Refusal(
                ErrorCode.INVALID_PARAMS,
                f"queue must be 1 to {QUEUE_CHARACTERS} of the characters A-Z a-z 0-9 . _ : / - ; got {name[:40]!r}",
            )
        if len(self._registry) >= QUEUES_MAXIMUM:
            what = f"{counted(len(self._registry), 'queue is', 'queues are')} there"
            raise limit_reached("queues", QUEUES_MAXIMUM, what)


def _changed(settings: Settings, params: PutQueueParams) -> Settings:
    """The settings with what a put asks for: what it leaves out stays."""
    asked = {name: getattr(params, name) for name in Settings.__struct_fields__}
    changes = {
        name: tuple(value) if isinstance(value, list) else value for name, value in asked.items() if value is not None
    }
    if "states" in changes:
        changes["states"] = tuple(sorted(set(changes["states"])))
    return replace(settings, **changes)
