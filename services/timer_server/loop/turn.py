"""The turn of the loop. One thread owns the sockets, the engine and the store.

A turn takes in requests for a bounded time, fires what is due, makes all of it durable in one commit, and only then
sends replies and publishes events. So batching falls out of load, and nobody is told what a crash could take back.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import zmq

from timer_protocol.durations import NS_PER_MS
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.limits import BEAT_INTERVAL_MS
from timer_protocol.messages import Beat
from timer_server.access.gate import Gate
from timer_server.access.keys import KeyFileError
from timer_server.core.engine import Engine
from timer_server.logs import fields, log
from timer_server.loop.alarm import Alarm
from timer_server.loop.clock import OFFSET_NOTED_MS, Clock
from timer_server.loop.garbage import Collector
from timer_server.loop.head_start import HeadStart
from timer_server.loop.signals import Wishes
from timer_server.metrics import Metrics
from timer_server.requests.answers import Answer
from timer_server.requests.dispatch import Dispatcher
from timer_server.requests.parked import Waiting
from timer_server.store.base import Anchor, Store, StoreError
from timer_server.wire.commands import Commands
from timer_server.wire.events import Events
from timer_server.wire.intake import Intake

RECEIVE_NS = 4 * NS_PER_MS
"""How long a turn takes in requests: long enough for batches to form, short enough that no end waits for a flood."""

RECEIVE_ENOUGH = 32
"""Messages that are enough for a turn: while those are made durable and answered, clients write the next ones. If it
took in all there is, clients and server would wait for each other by turns. On a slow disk more has to share a commit,
so a turn goes on for at least as long as the last one took."""

EXPIRE_MOST = 500
"""Timers fired in one turn, for the same reason."""

WAKE_MOST = 200
"""Requests that waited and are answered in one turn, for the same reason."""

FORGET_MOST = 256
"""Old events looked at for pruning in one turn."""

_DROPS_LOGGED_EVERY_NS = 10_000_000_000


class Parts(NamedTuple):
    """What the loop joins together."""

    clock: Clock
    engine: Engine
    store: Store
    dispatcher: Dispatcher
    waiting: Waiting
    commands: Commands
    events: Events
    gate: Gate | None
    metrics: Metrics


class Reactor:
    """Runs turns until it is told to stop."""

    def __init__(self, parts: Parts, wishes: Wishes, collector: Collector | None = None) -> None:
        self._parts = parts
        self._wishes = wishes
        self._answers: list[Answer] = []
        self._beat_at_ns = 0
        self._dropped = 0
        self._dropped_noted_ns = 0
        self._commit_ns = 0
        self._intake = Intake(parts.engine.last_seq)
        self._poller = zmq.Poller()
        parts.commands.register(self._poller)
        parts.events.register(self._poller)
        if parts.gate is not None:
            self._poller.register(parts.gate.socket, zmq.POLLIN)
        self._poller.register(wishes.fileno(), zmq.POLLIN)
        self._alarm = Alarm()
        self._alarm.register(self._poller)
        self._head_start = HeadStart()
        self._collector = collector

    def run(self) -> None:
        """Serves until told to stop; what came in by then is answered. Raises `StoreError`."""
        try:
            while not self._wishes.stop_is_wanted:
                ready = dict(self._poller.poll(self._timeout_ms()))
                is_quiet = self._alarm.is_all_of(ready)
                if self._wishes.fileno() in ready and self._wishes.take_reload():
                    self._reload()
                if not (is_quiet and self._end_ahead()):
                    self._turn(ready)
            self._say_goodbye()
        except StoreError as error:
            self._give_up(error)
            raise
        finally:
            self._alarm.close()
            if self._collector is not None:
                self._collector.close()

    def _turn(self, ready: Mapping[object, int]) -> None:
        parts = self._parts
        if parts.gate is not None and parts.gate.socket in ready:
            parts.gate.admit()
        if parts.events.socket in ready:
            parts.events.take_subscriptions()
        if parts.commands.socket in ready:
            self._receive()
        else:
            self._intake.note(is_empty=True)
        now_ns = parts.clock.now_ns()
        parts.engine.expire(now_ns, EXPIRE_MOST)
        parts.waiting.expire(now_ns, EXPIRE_MOST, self._answers)
        self._forget(now_ns)
        is_beat = now_ns >= self._beat_at_ns
        self._commit(parts.clock.new_anchor() if is_beat else None)
        if is_beat:
            self._beat(now_ns)

    def _end_ahead(self) -> bool:
        """Ends the timers whose deadline is near, and tells of it when that has come; False where none is near.

        Only for a loop that has nothing else to do: until the deadline it looks at nothing, and so the engine is never
        told an earlier time after a later one.
        """
        due_ns, now_ns = self._parts.engine.next_due_ns(), self._parts.clock.now_ns()
        if due_ns is None or not now_ns < due_ns <= min(now_ns + self._head_start.ns, self._next_else_ns(now_ns)):
            return False
        self._parts.engine.expire(due_ns, EXPIRE_MOST)
        self._commit(None, not_before_ns=due_ns)
        return True

    def _receive(self) -> None:
        """Applies what has come in. The clock is read after each message: no timer begins before it was asked for."""
        clock, commands, dispatcher = self._parts.clock, self._parts.commands, self._parts.dispatcher
        received = 0
        begun_ns = clock.now_ns()
        until_ns = begun_ns + RECEIVE_NS
        # As long as the queue was not seen empty, nobody can tell whether it is only this turn that leaves some of it.
        enough_ns = begun_ns + self._commit_ns if self._intake.has_caught_up else until_ns
        while (message := commands.receive()) is not None:
            received += 1
            now_ns = clock.now_ns()
            answer = dispatcher.handle(message, now_ns)
            if answer is not None and not answer.missing:
                self._answers.append(answer)
            if dispatcher.failure is not None:
                raise dispatcher.failure
            if now_ns > until_ns or (received >= RECEIVE_ENOUGH and now_ns > enough_ns):
                break
        self._intake.note(is_empty=message is None)
        if received:
            self._parts.metrics.received(received)

    def _forget(self, now_ns: int) -> None:
        """A small step of retention, if there is anything to forget."""
        engine, store = self._parts.engine, self._parts.store
        if engine.has_outlived(now_ns):
            engine.forget(store.read_events(engine.horizon, "", FORGET_MOST, FORGET_MOST).events, now_ns)

    def _commit(self, anchor: Anchor | None, not_before_ns: int | None = None) -> None:
        """Makes the turn durable, then tells everybody; where it was made ahead of its time, not before that."""
        parts = self._parts
        changes = parts.engine.take_changes()
        begun_ns = now_ns = parts.clock.now_ns()
        is_any = bool(changes.events or changes.obsolete or anchor is not None)
        if is_any:
            parts.store.commit(changes, anchor)
            now_ns = parts.clock.now_ns()
            self._commit_ns = now_ns - begun_ns
        if not_before_ns is not None:
            self._head_start.note(was_in_time=now_ns <= not_before_ns)
            now_ns = parts.clock.wait_until(not_before_ns)
        if is_any:
            parts.metrics.committed(changes.events, self._commit_ns, now_ns)
        parts.waiting.notify(changes.events)
        parts.waiting.answer_woken(now_ns, WAKE_MOST, self._answers)
        answers, self._answers = self._answers, []
        self._send(answers)
        parts.events.publish(changes.events)
        if log.isEnabledFor(logging.DEBUG):
            for event in changes.events:
                log.debug(event.kind, extra=fields(id=event.id, seq=event.seq))
        if anchor is not None:
            _note_offset(anchor)

    def _send(self, answers: Iterable[Answer]) -> None:
        for answer in answers:
            if not self._parts.commands.reply(answer.frames()):
                self._dropped += 1
                self._parts.metrics.dropped()

    def _beat(self, now_ns: int) -> None:
        """Once a second: a sign of life, and a word about replies nobody took."""
        parts = self._parts
        self._beat_at_ns = now_ns + BEAT_INTERVAL_MS * NS_PER_MS
        parts.events.beat(Beat(parts.engine.last_seq, now_ns // NS_PER_MS))
        if self._collector is not None:
            self._collector.beat()
        if self._intake.is_too_much(parts.engine.last_seq):
            self._cut_connections("more comes in than can be handled")
        if parts.gate is not None and (refused := parts.gate.take_refused()):
            log.warning("connections refused: their keys are not allowed", extra=fields(count=refused))
        if self._dropped and now_ns - self._dropped_noted_ns > _DROPS_LOGGED_EVERY_NS:
            log.warning("replies dropped: peers gone or not reading", extra=fields(count=self._dropped))
            self._dropped, self._dropped_noted_ns = 0, now_ns

    def _timeout_ms(self) -> int:
        """How long `poll` may sleep at most. The alarm wakes it up when the next thing is due, ends a little before."""
        now_ns = self._parts.clock.now_ns()
        next_ns, due_ns = self._next_else_ns(now_ns), self._parts.engine.next_due_ns()
        if due_ns is not None and due_ns <= next_ns:
            next_ns = due_ns - self._head_start.ns
        return self._alarm.set(next_ns, now_ns)

    def _next_else_ns(self, now_ns: int) -> int:
        """When something other than the end of a timer is due."""
        parts = self._parts
        if parts.engine.has_outlived(now_ns) or parts.waiting.has_woken:
            return now_ns
        due_ns = parts.waiting.next_due_ns()
        return self._beat_at_ns if due_ns is None else min(due_ns, self._beat_at_ns)

    def _reload(self) -> None:
        """Reads the keys again. Where one may do less now, all connections are made anew. Raises `BindError`."""
        gate = self._parts.gate
        if gate is None:
            log.info("nothing to reload: encryption is off")
            return
        try:
            is_narrower = gate.reload()
        except KeyFileError as error:
            log.error("keys not read; the ones before stay in force", extra=fields(reason=str(error)))
            return
        if is_narrower:
            self._cut_connections("a key was taken away or narrowed")

    def _cut_connections(self, reason: str) -> None:
        """Has all peers connect anew, those who may, and drops what they have sent. Raises `BindError`."""
        log.warning("all connections are cut and may be made anew", extra=fields(reason=reason))
        answers: list[Answer] = []
        refusal = Refusal(ErrorCode.SHUTTING_DOWN, "connections are made anew; send the request again")
        self._parts.waiting.fail_all(refusal, answers)
        self._send(answers)
        self._parts.commands.reopen()
        self._parts.events.reopen()

    def _say_goodbye(self) -> None:
        """Tells those who wait, and those whose requests have come in but were not applied, to try again."""
        parts = self._parts
        refusal = Refusal(ErrorCode.SHUTTING_DOWN, "the server is shutting down; send the request again")
        log.info("stopping", extra=fields(waiting=len(parts.waiting)))
        answers: list[Answer] = []
        parts.waiting.fail_all(refusal, answers)
        self._send(answers)
        until_ns = parts.clock.now_ns() + 25 * RECEIVE_NS
        while parts.clock.now_ns() < until_ns and (message := parts.commands.receive()) is not None:
            answer = parts.dispatcher.refuse(message.frames, refusal)
            if answer is not None:
                self._send([answer])

    def _give_up(self, error: StoreError) -> None:
        """Nothing of this turn is known to be durable: tells everybody so."""
        log.error("the store failed; the server ends, a restart recovers", extra=fields(reason=str(error)))
        refusal = Refusal(ErrorCode.STORAGE_FAILED, "the request could not be stored; send it again")
        self._parts.waiting.fail_all(refusal, self._answers)
        for answer in self._answers:
            answer.fail(refusal)
        self._send(self._answers)


def _note_offset(anchor: Anchor) -> None:
    ahead_ms = (anchor.wall_ns - anchor.timeline_ns) // NS_PER_MS
    if abs(ahead_ms) >= OFFSET_NOTED_MS:
        log.warning("the wall clock was set; deadlines keep to elapsed time", extra=fields(ahead_ms=ahead_ms))
