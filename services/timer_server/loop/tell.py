"""Telling peers what has become durable: replies to clients, events to subscribers."""

import logging
from collections.abc import Iterable, Sequence

from timer_protocol.durations import NS_PER_MS
from timer_protocol.errors import Refusal
from timer_server.core.effects import OFFSET_NOTED_MS
from timer_server.core.model import Countdown
from timer_server.core.plans.hints import skipped_moments
from timer_server.logs import fields, log
from timer_server.loop.peer_traffic import PeerTraffic
from timer_server.metrics import Metrics
from timer_server.requests.answers import Answer, JointAnswer, JsonAnswer, PeerAnswer, TextAnswer
from timer_server.requests.parked import Parked
from timer_server.requests.shard import Shard, Writes
from timer_server.store.base import Anchor
from timer_server.wire.commands import Commands
from timer_server.wire.events import Events

WAKE_MOST = 200
"""Parked requests answered together with the turn that has woken them; a chore answers the others."""

_DROPS_LOGGED_EVERY_NS = 10_000_000_000

_TO_A_CLIENT = (JsonAnswer, TextAnswer)


class Teller:
    """Sends replies and events, which have to be durable."""

    def __init__(
        self, commands: Commands, events: Events, metrics: Metrics, peer_traffic: PeerTraffic | None = None
    ) -> None:
        self._commands = commands
        self._peer_traffic = peer_traffic
        self._events = events
        self._metrics = metrics
        self._dropped = 0
        self._dropped_noted_ns = 0

    def send(self, answers: Iterable[Answer]) -> None:
        """Sends replies, and counts those that no peer takes."""
        to_servers: list[PeerAnswer] = []
        dropped = 0
        for answer in answers:
            if isinstance(answer, _TO_A_CLIENT):
                answer.count(self._metrics.requests)
                dropped += not self._commands.reply(answer.frames())
            elif isinstance(answer, JointAnswer):
                answer.count(self._metrics.requests)
                dropped += self._commands.reply_all(answer.all_frames())
            elif isinstance(answer, PeerAnswer):
                to_servers.append(answer)
            else:
                answer.tell()
        if dropped:
            self._dropped += dropped
            self._metrics.dropped(dropped)
        if to_servers and self._peer_traffic is not None:
            self._peer_traffic.reply(to_servers)

    def fail(self, answers: Sequence[Answer], refusal: Refusal) -> None:
        """Sends an error in place of each answer."""
        for answer in answers:
            answer.fail(refusal)
        self.send(answers)

    def wake(self, parked: Parked, writes: Sequence[tuple[Shard, Writes]], now_ns: int) -> None:
        """Wakes the requests that waited for an event of a turn, and answers some."""
        if len(parked):
            for shard, part in writes:
                parked.notify(part.changes.events)
                shard.log.have_at_hand(part.changes)
            parked.answer_woken(now_ns, WAKE_MOST)
            for shard, _ in writes:
                shard.log.have_at_hand(None)

    def publish(self, shard: Shard, writes: Writes) -> None:
        """Publishes the events of a turn, and what plans have skipped in it."""
        changes = writes.changes
        if self._events.is_anything_wanted:
            for part in changes.entries.parts():
                self._events.publish(shard.log.id, part)
            if changes.entries.has_others:
                self._events.publish_skipped(skipped_moments(changes))
        if log.isEnabledFor(logging.DEBUG):
            _log_events(changes.events)
        if writes.anchor is not None:
            _note_offset(writes.anchor, shard.ahead_ns)

    def note_drops(self, now_ns: int) -> None:
        """Logs, now and then, how many replies were dropped."""
        if self._dropped and now_ns - self._dropped_noted_ns > _DROPS_LOGGED_EVERY_NS:
            log.warning("replies dropped: peers gone or not reading", extra=fields(count=self._dropped))
            self._dropped, self._dropped_noted_ns = 0, now_ns


def _log_events(events: Iterable[Countdown]) -> None:
    for event in events:
        log.debug(event.kind, extra=fields(id=event.id, seq=event.seq))


def _note_offset(anchor: Anchor, ahead_ns: int) -> None:
    """Says where the wall clock was set against the server's clock, which the shard's timeline is ahead of."""
    ahead_ms = (anchor.wall_ns - anchor.timeline_ns + ahead_ns) // NS_PER_MS
    if abs(ahead_ms) >= OFFSET_NOTED_MS:
        log.warning(
            "the wall clock was set; only timers that were started for a moment of it move",
            extra=fields(ahead_ms=ahead_ms),
        )
