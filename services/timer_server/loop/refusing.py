"""Refusing: what comes in while nothing can be applied, and whoever waits, is answered with an error."""

from collections.abc import Iterable

from timer_protocol.errors import ErrorCode, Refusal
from timer_server.loop.commit_care import Turn
from timer_server.loop.parts import Parts
from timer_server.loop.tell import Teller
from timer_server.requests.answers import Answer

STOPPING = Refusal(ErrorCode.SHUTTING_DOWN, "the server is shutting down; send the request again")


class Refuser:
    """Answers clients with an error, and applies nothing."""

    def __init__(self, parts: Parts, teller: Teller) -> None:
        self._clock, self._commands, self._dispatcher = parts.clock, parts.commands, parts.dispatcher
        self._parked = parts.shards.parked
        self._teller = teller

    def refuse_requests(self, refusal: Refusal, until_ns: int) -> None:
        """Refuses what comes in until a moment."""
        while self._clock.now_ns() < until_ns and (message := self._commands.receive()) is not None:
            answer = self._dispatcher.refuse(message.frames, refusal)
            if answer is not None:
                self._teller.send([answer])

    def fail_all(self, in_flight: Iterable[Turn], answers: list[Answer], refusal: Refusal) -> None:
        """Tells everybody who waits for something: for turns in flight, for other answers, or for anything else."""
        # Answers with a waiting part may hold changes that are not durable either.
        self._dispatcher.fail_waiting(refusal)
        answers += self._parked.take_ready()
        for failed in (*(turn.answers for turn in in_flight), answers):
            self._teller.fail(failed, refusal)
            failed.clear()
