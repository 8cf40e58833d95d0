"""The turn of the loop. One thread owns the sockets, the engines and the stores.

A turn receives requests for a bounded time and does a bounded step of every chore. The result is a value: what to make
durable, and whom to tell then. It is submitted, and told once it has settled. So more load makes larger batches, and
nobody is told what a crash could take back.
"""

from collections import deque
from collections.abc import Mapping

import zmq

from timer_protocol.durations import NS_PER_MS
from timer_protocol.errors import Refusal
from timer_server.logs import fields, log
from timer_server.loop.alarm import Alarm
from timer_server.loop.backups import Backups
from timer_server.loop.chores import (
    Expiry,
    PlanCare,
    QueueCare,
    Retention,
    Schedule,
    StoreCare,
    Waking,
    WallBound,
    in_each_shard,
)
from timer_server.loop.commit_care import CommitCare, Turn
from timer_server.loop.committer import Ticket
from timer_server.loop.head_start import HeadStart
from timer_server.loop.hold import Hold
from timer_server.loop.losses import Losses
from timer_server.loop.parts import Parts
from timer_server.loop.peering import peering_of
from timer_server.loop.refusing import STOPPING, Refuser
from timer_server.loop.signals import OperatorSignals
from timer_server.loop.standing import Standing
from timer_server.loop.tell import Teller
from timer_server.loop.upkeep import Upkeep
from timer_server.requests.answers import STORE_AWAY, Answer
from timer_server.requests.dispatch import NOT_STORED
from timer_server.requests.shard import Shard, Writes
from timer_server.store.base import ShardLost, StoreError
from timer_server.wire.endpoint_socket import EndpointSocket

RECEIVE_NS = 4 * NS_PER_MS
"""How long a turn receives requests: long enough for batches to form, short enough that no end waits for a flood."""

RECEIVE_ENOUGH = 32
"""Messages that are enough for a turn: while they are made durable and answered, clients write the next ones. If a turn
took all, clients and server would wait for each other. On a slow disk more have to share a commit, so a turn receives
for at least half as long as the last commit took."""

CHORE_BUDGET = 500
"""Timers fired in one step, so that no request waits for a herd of ends; other chores do as much work."""

END_NS = 2 * NS_PER_MS
"""How long a turn goes on with such steps while there is more to end. To store and tell what has ended takes two to
four times as long again. On a slow disk more have to share a commit: so it goes on for as long as the last one took,
but no longer than `RECEIVE_NS`."""

_TURNS_MOST = 64
"""Turns in flight, those among them that only answer: their replies are kept meanwhile."""

_SETTLE_LIMIT_MS = 5_000
"""How long a stopping server waits for the turns in flight."""

_SETTLE_LOOK_MS = 100
"""How often it has the committer go on meanwhile, for what that has to do by the clock."""

_LEAVE_LIMIT_MS = 10_000
"""How long it takes at most to give its shards to other servers, while it serves on."""


class Loop:
    """Runs turns until it is told to stop."""

    def __init__(self, parts: Parts, signals: OperatorSignals) -> None:
        self._clock = parts.clock
        self._shards, self._parked = parts.shards, parts.shards.parked
        self._committer = parts.committer
        self._settles_late = not parts.committer.is_inline
        self._membership = parts.membership
        self._dispatcher = parts.dispatcher
        self._commands, self._events, self._admission = parts.commands, parts.events, parts.admission
        self._metrics = parts.metrics
        self._peering = peering_of(parts)
        self._signals = signals
        self._peer_traffic = parts.peer_traffic
        self._teller = Teller(parts.commands, parts.events, parts.metrics, parts.peer_traffic)
        self._answers: list[Answer] = []
        self.in_flight: deque[Turn] = deque()
        """Turns that are submitted and not told yet, the oldest first."""
        self._upkeep = Upkeep(parts, self._teller, signals.manager, self.in_flight)
        self._commit_care = CommitCare(self._committer, self.in_flight, self._teller, self._metrics, self._settled)
        self._refuser = Refuser(parts, self._teller)
        self._losses = Losses(parts, self.in_flight)
        self._hold = Hold(parts, self._upkeep, self._commit_care, self._peering, self._refuser, self._teller)
        self._ends = Schedule([in_each_shard(Expiry, parts.shards)])
        self._other_chores = Schedule(
            [
                *(in_each_shard(kind, parts.shards) for kind in (StoreCare, PlanCare)),
                *([parts.queue_rules] if parts.shards.only is None else []),
                in_each_shard(QueueCare, parts.shards),
                Waking(self._parked),
                in_each_shard(Retention, parts.shards),
                in_each_shard(WallBound, parts.shards),
                *([self._commit_care] if self._settles_late else []),
                *([self._peering] if self._peering is not None else []),
                self._upkeep,
                *([] if parts.peer_traffic is None else [parts.peer_traffic]),
            ]
        )
        self._backups = self._backups_of(parts)
        self._admin = -1 if parts.administered is None else parts.administered.port.fileno()
        """The descriptor by which operators ask."""
        self._ticket = self._committer.settled()
        self._commit_ns = 0
        self._head_start = HeadStart()
        self._alarm = Alarm()
        self._poller = self._polling(parts.commands, parts.events)
        if self._peering is not None:
            self._peering.register(self._poller)
        if self._backups is not None:
            self._poller.register(self._admin, zmq.POLLIN)
        self._settling = self._polling()

    def run(self) -> None:
        """Serves until told to stop, and answers what came in by then. Raises `StoreError`."""
        try:
            while not self._signals.stop_is_wanted:
                self._step()
            self._signals.manager.stopping()
            if self._membership is not None:
                self._leave(self._membership)
            self._settle_all()
            log.info("stopping", extra=fields(waiting=len(self._parked)))
            self._upkeep.dismiss_parked(STOPPING)
            self._refuser.refuse_requests(STOPPING, self._clock.now_ns() + 25 * RECEIVE_NS)
        except StoreError as error:
            self._give_up(error)
            raise
        finally:
            self.close()

    def close(self) -> None:
        """Closes what the loop has opened."""
        self._alarm.close()

    def _step(self) -> None:
        """Waits until there is something to do, and does it."""
        is_full = self._is_full()
        ready = self._poll_full() if is_full else dict(self._poller.poll(self._timeout_ms()))
        is_quiet = self._alarm.is_all_of(ready)
        if self._signals.fileno() in ready and self._signals.take_reload():
            self._upkeep.reload()
        if self._admin in ready and self._backups is not None:
            self._backups.take_in()
        if self._membership is not None:
            self._attend(self._membership)
        if self._settles_late:
            self._tell_settled()
        if is_full:
            self._wait_for_room(ready)
        elif not (is_quiet and self._end_ahead()):
            self._turn(ready)

    def _poll_full(self) -> Mapping[object, int]:
        """Waits while no turn may begin. Requests are left where they are, unless they are to be refused."""
        now_ns = self._clock.now_ns()
        timeout_ms = self._alarm.set(self._hold.next_due_ns(), now_ns)
        return dict((self._poller if self._commit_care.is_overdue(now_ns) else self._settling).poll(timeout_ms))

    def _wait_for_room(self, ready: Mapping[object, int]) -> None:
        """Does what cannot wait until a turn may begin. Where that takes too long it refuses what comes in."""
        self._hold.step()
        now_ns = self._clock.now_ns()
        if not self._commit_care.is_overdue(now_ns):
            return
        self._let_in(ready, STORE_AWAY)
        self._hold.refuse(ready, now_ns + RECEIVE_NS, CHORE_BUDGET)
        if self._upkeep.has_to_cut:
            self._refuser.fail_all(self.in_flight, self._answers, STORE_AWAY)
            self._upkeep.cut_connections()

    def _is_full(self) -> bool:
        """Whether a turn has to settle before another may begin. Turns that write nothing have a bound of their own."""
        if not self.in_flight:
            return False
        written = sum(1 for turn in self.in_flight if turn.writes)
        is_bounded = written >= self._committer.most_in_flight or len(self.in_flight) >= _TURNS_MOST
        return is_bounded or self._upkeep.has_to_cut

    def _turn(self, ready: Mapping[object, int]) -> None:
        self._let_in(ready)
        if self._commands.socket in ready:
            self._receive()
        else:
            self._upkeep.intake.note(is_empty=True)
        if self._peer_traffic is not None:
            self._answers += self._peer_traffic.take_answers()
            if self._dispatcher.failure is not None:
                raise self._dispatcher.failure
        now_ns = self._clock.now_ns()
        self._end_due(now_ns)
        self._other_chores.step(now_ns, CHORE_BUDGET)
        if self._peer_traffic is not None:
            self._peer_traffic.step(now_ns)  # what came up in this turn goes out with it
        self._shards.serve_takes(now_ns)
        self._submit()
        self._tell_settled()

    def _let_in(self, ready: Mapping[object, int], refusal: Refusal | None = None) -> None:
        """Takes in connections and subscriptions, and what other servers send: their requests may be refused."""
        self._upkeep.turned_away += self._commands.listener.turn_away(ready) + self._events.listener.turn_away(ready)
        if self._events.socket in ready:
            self._events.take_subscriptions()
        if self._admission.is_asked(ready):
            self._admission.admit(also_subscribers=not self._events.is_behind)
        if self._peering is not None:
            self._upkeep.turned_away += self._peering.take_in(ready, refusal)

    def _receive(self) -> None:
        """Applies requests. The clock is read after each message, so that no timer begins before it was asked for."""
        clock, commands, dispatcher, answers = self._clock, self._commands, self._dispatcher, self._answers
        received, is_empty = 0, False
        now_ns = clock.now_ns()
        until_ns = now_ns + RECEIVE_NS
        # Unless the queue was seen empty lately, a turn receives for its full time, to find whether it can be emptied.
        enough_ns = now_ns + self._commit_ns // 2 if self._upkeep.intake.has_caught_up else until_ns
        while not is_empty:
            message = commands.receive()
            if message is None:
                is_empty = not dispatcher.finish(now_ns, answers)  # while it applies some, more may come
                continue
            received += 1
            now_ns = clock.now_ns()
            if received == 1 and not commands.has_more():  # as for a client that is alone
                dispatcher.apply(message, now_ns, answers)
                is_empty = not commands.has_more()
            else:
                dispatcher.take_in(message, now_ns, answers)
            if dispatcher.failure is not None:
                raise dispatcher.failure
            if now_ns > until_ns or (received >= RECEIVE_ENOUGH and now_ns > enough_ns):
                break
        dispatcher.finish(now_ns, answers)
        if dispatcher.failure is not None:
            raise dispatcher.failure
        self._upkeep.intake.note(is_empty)
        if received:
            self._metrics.received(received)

    def _end_due(self, now_ns: int) -> None:
        """Ends timers that were due by the last look. Of a herd it ends as many as may share a commit."""
        until_ns = now_ns + min(max(END_NS, self._commit_ns), RECEIVE_NS)
        ends = self._ends
        while now_ns >= ends.due_ns:
            ends.step(now_ns, CHORE_BUDGET)
            if ends.look() > now_ns or self._clock.now_ns() >= until_ns:
                return

    def _submit(self) -> None:
        """Submits what was done since the last call as a turn. Raises `StoreError`."""
        writes: list[tuple[Shard, Writes]] = []
        for shard in self._shards.owned:
            if (part := shard.take_writes()) is not None:
                shard.log.take_off(part.changes)
                writes.append((shard, part))
        if self._parked.ready:
            self._answers += self._parked.take_ready()
        if not writes and not self._answers:
            return
        begun_ns = self._clock.now_ns()
        if writes:
            self._ticket = self._committer.submit(writes)
        self.in_flight.append(Turn(writes, self._answers, self._ticket, begun_ns))
        self._answers = []

    def _tell_settled(self, not_before_ns: int = 0) -> None:
        """Tells settled turns, in order, and does what waits until none is in flight. Raises `StoreError`."""
        if self.in_flight or self._settles_late:
            try:  # as `_settled` does, which would be one more call in each turn
                settled = self._committer.settled()
            except ShardLost as lost:
                self._drop(lost)
                settled = self._settled()
            settled_ns = now_ns = self._clock.now_ns()
            if self._membership is not None and not self._membership.tells(now_ns):
                return
            if now_ns < not_before_ns:
                now_ns = self._clock.wait_until(not_before_ns)
            while self.in_flight and self.in_flight[0].ticket <= settled:
                self._tell(self.in_flight.popleft(), settled_ns, now_ns)
        if self.in_flight:
            return
        if self._upkeep.has_queues_to_note:
            self._upkeep.note_queues(self._clock.now_ns())
        if self._upkeep.has_to_cut:
            self._upkeep.cut_connections()

    def _settled(self) -> Ticket:
        """The ticket up to which all may be told, once what was lost has been dropped. Raises `StoreError`."""
        while True:
            try:
                settled = self._committer.settled()
            except ShardLost as lost:
                self._drop(lost)
                continue
            if self.in_flight and self._membership is not None and not self._membership.tells(self._clock.now_ns()):
                return Ticket(self.in_flight[0].ticket - 1)
            return settled

    def _attend(self, membership: Standing) -> None:
        """Goes on with the membership, and drops what it has lost."""
        for lost in membership.step(self._clock.now_ns()):
            self._drop(lost)

    def _leave(self, membership: Standing) -> None:
        """Serves on while the shards are given to other servers, as long as that may come to an end."""
        now_ns = self._clock.now_ns()
        until_ns = now_ns + _LEAVE_LIMIT_MS * NS_PER_MS
        membership.leave(now_ns)
        while not membership.has_left and membership.tells(now_ns) and now_ns < until_ns:
            self._step()
            now_ns = self._clock.now_ns()

    def _drop(self, lost: ShardLost) -> None:
        self._answers = self._losses.drop(lost, self._answers)

    def _tell(self, turn: Turn, settled_ns: int, now_ns: int) -> None:
        self._teller.send(turn.answers)  # before those who are woken read the log, which may fail
        if turn.writes:
            self._commit_ns = settled_ns - turn.begun_ns
            self._metrics.settled(turn.writes, self._commit_ns, now_ns)
            for shard, part in turn.writes:
                shard.log.land()
                self._teller.publish(shard, part)
            self._teller.wake(self._parked, turn.writes, now_ns)  # last, as pages that are read take long
        if self._parked.ready and not self.in_flight:  # part of a woken answer may depend on a turn behind this one
            self._teller.send(self._parked.take_ready())

    def _end_ahead(self) -> bool:
        """Ends the timers whose deadline is near, and tells that at the deadline; False where none is near.

        Only an idle loop that commits inline does so: it receives nothing until the deadline, so that the engine is
        never told an earlier time after a later one.
        """
        due_ns, now_ns = self._ends.due_ns, self._clock.now_ns()
        if not self._committer.is_inline or self.in_flight:
            return False
        if not now_ns < due_ns <= min(now_ns + self._head_start.ns, self._other_chores.due_ns):
            return False
        self._ends.step(due_ns, CHORE_BUDGET)
        self._shards.serve_takes(due_ns)
        self._submit()
        self._head_start.note(was_in_time=self._clock.now_ns() <= due_ns)
        self._tell_settled(not_before_ns=due_ns)
        return True

    def _timeout_ms(self) -> int:
        """How long `poll` may sleep. The alarm is set for what is due next, for ends with a head start."""
        next_ns, due_ns = self._other_chores.look(), self._ends.look()
        if self._membership is not None and (member_ns := self._membership.next_due_ns()) is not None:
            next_ns = min(next_ns, member_ns)
        if due_ns <= next_ns:
            next_ns = due_ns - self._head_start.ns if self._committer.is_inline else due_ns
        return self._alarm.set(next_ns, self._clock.now_ns())

    def _backups_of(self, parts: Parts) -> Backups | None:
        """What makes backups of the store, where it is a file."""
        if parts.administered is None:
            return None
        store, port = parts.administered
        return Backups(port, store, parts.clock, parts.metrics, self._other_chores)

    def _polling(self, *sockets: EndpointSocket) -> zmq.Poller:
        """A poller for these sockets, and for all that is polled even while no more turns may be submitted."""
        poller = zmq.Poller()
        for socket in sockets:
            socket.register(poller)
        if sockets:
            self._admission.register(poller)
        poller.register(self._signals.fileno(), zmq.POLLIN)
        self._committer.register(poller)
        if self._membership is not None:
            self._membership.register(poller)
        self._alarm.register(poller)
        return poller

    def _settle_all(self) -> None:
        """Waits for the turns in flight, and tells them. Raises `StoreError` where that takes too long."""
        until_ns = self._clock.now_ns() + _SETTLE_LIMIT_MS * NS_PER_MS
        settling = zmq.Poller()
        self._committer.register(settling)
        while self.in_flight:
            left_ms = (until_ns - self._clock.now_ns()) // NS_PER_MS
            if left_ms <= 0:
                raise StoreError(f"what was to be stored was not durable within {_SETTLE_LIMIT_MS} ms")
            settling.poll(min(left_ms, _SETTLE_LOOK_MS))
            if self._membership is not None:
                self._attend(self._membership)
            if self._peering is not None:
                self._peering.keep_up(self._clock.now_ns())
            self._tell_settled()

    def _give_up(self, error: StoreError) -> None:
        """Answers everything in flight and after it with an error, since none of it is known to be durable."""
        log.error("the store failed; the server ends", extra=fields(reason=str(error)))
        self._refuser.fail_all(self.in_flight, self._answers, NOT_STORED)
