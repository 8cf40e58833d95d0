"""What a server does once others may have taken shards of it: it tells nothing more of them."""

from collections import deque

from timer_protocol.durations import NS_PER_MS
from timer_server.logs import fields, log
from timer_server.loop.commit_care import ANSWER_WITHIN_MS, Turn
from timer_server.loop.parts import Parts
from timer_server.requests.answers import Answer
from timer_server.store.base import ShardLost


class Losses:
    """Drops shards that are lost. `in_flight` are the loop's turns that are not told yet."""

    def __init__(self, parts: Parts, in_flight: deque[Turn]) -> None:
        self._clock = parts.clock
        self._shards, self._parked = parts.shards, parts.shards.parked
        self._dispatcher = parts.dispatcher
        self._metrics = parts.metrics
        self._has_membership = parts.membership is not None
        self._in_flight = in_flight

    def drop(self, lost: ShardLost, answers: list[Answer]) -> list[Answer]:
        """Serves some shards no longer. What is in flight of them is told nobody, nor what may have been read of it.

        Of the answers, which no turn has yet, those are returned that may be told still.
        """
        if lost.numbers:
            log.warning("shards lost", extra=fields(shards=",".join(map(str, sorted(lost.numbers))), reason=str(lost)))
        self._metrics.lost(lost.events)
        for shard in self._shards.owned:
            if shard.number in lost.numbers:
                self._shards.remove(shard.number)
                self._metrics.drop(shard.number)
        self._drop_in_flight(lost)
        kept = self._applied_again(answers, lost)
        ready = self._applied_again(self._parked.take_ready(), lost)
        self._parked.ready += ready
        self._dispatcher.wait_again(lost.numbers, self._clock.now_ns())
        return kept

    def _drop_in_flight(self, lost: ShardLost) -> None:
        has_lost = self._has_membership  # then what was only read may be told no more either
        for turn in self._in_flight:
            kept = [(shard, part) for shard, part in turn.writes if shard.number not in lost.numbers]
            has_lost |= len(kept) < len(turn.writes)
            turn.writes[:] = kept
            if has_lost:
                until_ns = turn.begun_ns + ANSWER_WITHIN_MS * NS_PER_MS
                turn.answers[:] = self._applied_again(turn.answers, lost, until_ns)

    def _applied_again(self, answers: list[Answer], lost: ShardLost, until_ns: int | None = None) -> list[Answer]:
        """The answers that may be told once what they tell of lost shards is applied anew by others."""
        now_ns = self._clock.now_ns()
        return [answer for answer in answers if self._dispatcher.again(answer, lost.numbers, now_ns, until_ns)]
