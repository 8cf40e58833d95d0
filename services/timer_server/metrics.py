"""What the loop counts about the server, in plain numbers; `exporter` makes text of them when Prometheus asks."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import get_args

from timer_protocol.durations import NS_PER_MS
from timer_protocol.limits import BEAT_INTERVAL_MS
from timer_protocol.messages import StateCounts
from timer_protocol.plan_messages import SkipReason
from timer_protocol.queue_messages import Queue
from timer_server.core.model import FIRED, KINDS
from timer_server.core.plans.hints import skipped_moments
from timer_server.distribution import Distribution
from timer_server.requests.queue_views import QueueTotals
from timer_server.requests.shard import Shard, Writes
from timer_server.requests.tally import Tally
from timer_server.wire.peer_greeting import Reason

QUEUES_NAMED = 100
"""Queues that the metrics tell of, the first by name: each has time series of its own in Prometheus."""

_STANDS_STILL_NS = 2 * BEAT_INTERVAL_MS * NS_PER_MS
"""The loop looks once a beat, so by then it has missed one."""

_MS_PER_S = 1000
_NS_PER_S = 1e9


class Metrics:
    """The server's counts about itself. They leave out what is not durable."""

    def __init__(self, counts: Mapping[int, StateCounts]) -> None:
        """`counts` are those of each shard, by its number, after the restore."""
        self.counts = dict(counts)
        self.events = [0] * len(KINDS)
        self.requests = Tally()
        """Requests that were answered."""
        self.parked_requests = 0
        self.limits: Mapping[str, float] = {}
        """How much of each limit is taken, by its name: 1 is all of it."""
        self.log_seqs: Mapping[int, int] = {}
        """The last durable `seq` of each shard, by its number."""
        self.shards_of_store = 0
        self._next_end: tuple[int, int | None] = (0, None)
        """When the loop has last looked for the next end that is due, and when that is due."""
        self.queues: Sequence[Queue] = ()
        self.queue_totals = QueueTotals()
        self.plans = self.plans_paused = 0
        self.skipped: dict[SkipReason, int] = dict.fromkeys(get_args(SkipReason), 0)
        """Moments of plans, by why they were skipped."""
        self.messages = 0
        self.replies_dropped = 0
        self.events_lost = 0
        """Events that the store has acknowledged and lost: at a failover to a standby that did not have them."""
        self.is_store_away = False
        self.backed_up_at_s = 0.0
        """The Unix time at which the last backup was done; 0 where this run of the server has made none."""
        self.unreachable: Counter[Reason] = Counter()
        """Servers with which there is no connection, by why."""
        self.takeovers = 0
        """Shards taken from other servers, which did not give them."""
        self.beats_late = 0
        """Beats to the other servers of the store that have failed, or took so long that a lease was at stake."""
        self.refused: set[int] = set()
        """Shards that this server owns and does not serve, as their logs are not whole."""
        self.lateness = Distribution()
        self.commit = Distribution()

    def received(self, messages: int) -> None:
        """Counts messages that have come in."""
        self.messages += messages

    def dropped(self, replies: int) -> None:
        """Counts replies that could not be delivered."""
        self.replies_dropped += replies

    def settled(self, writes: Sequence[tuple[Shard, Writes]], took_ns: int, now_ns: int) -> None:
        """Counts the changes of a turn that have become durable, and how late the ends among them are."""
        self.commit.add(took_ns / _NS_PER_S)
        events = self.events
        for shard, part in writes:
            changes, now_ms = part.changes, shard.at(now_ns) / NS_PER_MS
            if shard.number in self.counts:  # it may have been given away meanwhile
                self.counts[shard.number] = part.counts
            for together in changes.entries.packed:
                events[together.kind_number] += together.number
                self.lateness.add_lapsed(together.lapsed_ms, now_ms)
            for event in changes.entries.events_apart():
                kind_number = event.kind_number
                events[kind_number] += 1
                if kind_number == FIRED and (due_at_ms := event.due_on_timeline_ms) is not None:
                    self.lateness.add(max(now_ms - due_at_ms, 0.0) / _MS_PER_S)
            if changes.entries.has_others:
                for moments in skipped_moments(changes):
                    self.skipped[moments.reason] += moments.count

    def lost(self, events: int) -> None:
        """Counts acknowledged events that the store has lost."""
        self.events_lost += events

    def backed_up(self, wall_ns: int) -> None:
        """Notes that a backup is done, and the wall clock then."""
        self.backed_up_at_s = wall_ns / _NS_PER_S

    def take_up(self, number: int, counts: StateCounts) -> None:
        """Counts the timers of a shard from now on."""
        self.counts[number] = counts

    def drop(self, number: int) -> None:
        """Counts the timers of a shard no longer."""
        self.counts.pop(number, None)

    def note_next_end(self, due_ns: int | None, now_ns: int) -> None:
        """Takes down when the next end that has not been told is due. Call it once a second."""
        self._next_end = now_ns, due_ns

    def overdue_s(self, now_ns: int) -> float:
        """How long the oldest end that has not been told has been due, 0 where none is. Any thread may ask.

        That is as of the last look, at which the loop had ended all it could. A loop that has not looked for longer
        than it ever should stands still, and what it has to end is overdue by now.
        """
        looked_ns, due_ns = self._next_end
        if due_ns is None:
            return 0.0
        as_of_ns = looked_ns if now_ns - looked_ns <= _STANDS_STILL_NS else now_ns
        return max(as_of_ns - due_ns, 0) / _NS_PER_S

    def note_plans(self, count: int, paused: int = 0) -> None:
        """Takes down how many plans there are, and how many of them are paused, all of it durable."""
        self.plans, self.plans_paused = count, paused

    def note_queues(self, queues: Sequence[Queue], totals: QueueTotals) -> None:
        """Takes down how the first queues stand, and all together, all of it durable."""
        self.queues, self.queue_totals = queues[:QUEUES_NAMED], totals
