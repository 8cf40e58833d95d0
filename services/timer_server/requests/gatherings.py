"""Runs dialogues about several shards: each question goes to the owners that there are when it is sent."""

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Raw

from timer_protocol.codec import encode
from timer_protocol.durations import NS_PER_MS
from timer_protocol.errors import ErrorCode, Refusal, RpcError
from timer_protocol.sender import EVERYBODY
from timer_server.requests.answers import PartAnswer
from timer_server.requests.asking import Answered
from timer_server.requests.errands import NOT_KEPT, Errand
from timer_server.requests.forward_room import ClientMessage
from timer_server.requests.forwards import FORWARD_WITHIN_MS, Forwards
from timer_server.requests.gathering import Ask, Dialogue, Gather, PartKinds, Told
from timer_server.requests.open_requests import OpenRequest
from timer_server.requests.parked import Parked
from timer_server.requests.placement import Elsewhere, Shards
from timer_server.requests.room import ReplyRoom
from timer_server.requests.waiters import Waiter
from timer_server.requests.waits import Wait

_IN_TIME = Refusal(ErrorCode.STORAGE_FAILED, "not all shards have answered in time; send the request again")

_ENTRY_BYTES = 32
"""Bytes of an answer, besides payloads, for each of the ten entries that a returned one counts as."""


class Question(Errand):
    """A question of a dialogue, to be answered by the owners of its shards, each for its own."""

    __slots__ = ("ask", "gathering", "missing", "waiters")

    def __init__(self, order: int, gathering: "_Gathering", ask: Ask) -> None:
        super().__init__(order, gathering.message, ask.method, ask.shards)
        self.gathering = gathering
        self.ask = ask
        self.missing = set(ask.shards)
        """The shards of which nothing has been told yet."""
        self.waiters: list[Waiter] = []
        """What waits in this server for parts of it."""

    def params(self, shards: tuple[tuple[int, int], ...]) -> bytes:
        return encode(self.ask.params_for(frozenset([number for number, _ in shards])))

    def tell(self, shards: frozenset[int], outcome: object) -> bool:
        return self.gathering.told(self, shards, outcome)

    def expire(self, refusal: Refusal, now_ns: int) -> None:
        """Its dialogue ends with it."""
        self.gathering.expire(refusal, now_ns)


class LocalPart(PartAnswer):
    """The answer to a question for some shards of this server."""

    def __init__(self, question: Question, shards: frozenset[int]) -> None:
        super().__init__(question.connection, question.gathering.room)
        self.question = question
        self.shards = shards

    def tell(self) -> None:
        question = self.question
        if not question.is_done:
            question.gathering.runner.forwards.tell(question, self.shards, self.outcome, _size_of(self.outcome))


class _Gathering(Errand):
    """A dialogue that runs. It stands in no line; as an errand it has its limit of time."""

    __slots__ = ("asked", "gather", "has_begun", "questions", "request", "room", "runner", "sender", "step")

    def __init__(
        self, order: int, message: ClientMessage, runner: "Gatherings", gather: Gather, request: OpenRequest | None
    ) -> None:
        """`request` is what the dialogue answers; None where nobody waits for it."""
        super().__init__(order, message, "", ())
        self.runner = runner
        self.gather = gather
        self.request = request
        self.room = ReplyRoom() if request is None or request.slot is None else request.answer.room
        self.questions: set[Question] = set()
        """Those of this step that have yet to be answered."""
        self.asked = 0
        """How many there have been. They stand in their lines in its place."""
        self.sender = EVERYBODY if request is None else request.sender
        self.has_begun = False
        self.step: list[Told] = []
        """What was told in this step."""

    @property
    def was_asked(self) -> bool:
        """Whether any owner was asked anything."""
        return self.asked > len(self.questions) or any(question.was_sent for question in self.questions)

    def params(self, _: tuple[tuple[int, int], ...]) -> bytes:
        raise AssertionError("nobody is asked this")

    def tell(self, _: frozenset[int], outcome: object) -> bool:
        if self.request is not None:
            self.request.answer_with(outcome, self.runner.parked.ready)
        return True

    def expire(self, refusal: Refusal, now_ns: int) -> None:
        self.runner.expired(self, refusal, now_ns)

    def told(self, question: Question, shards: frozenset[int], outcome: object) -> bool:
        """Takes what was told of a question. Returns whether that was all of it."""
        if outcome is NOT_KEPT:
            self.runner.finish(self, NOT_KEPT)
            return True
        value = self.runner.value(question.method, outcome)
        self.step.append(Told(shards, value))
        question.missing -= shards
        if question.missing and not (question.ask.is_first_enough and value):
            return False
        self.questions.discard(question)
        self.runner.give_up(question)
        if not self.questions:
            self.runner.resume(self)
        return True


class Gatherings:
    """The dialogues that run in this server."""

    def __init__(
        self,
        parts: PartKinds,
        shards: Shards,
        parked: Parked,
        forwards: Forwards,
        failed: Callable[[Exception], Refusal],
    ) -> None:
        """`failed` is told of a request that has failed in the server, and gives the error for it."""
        self._handlers = {name: kind.handler() for name, kind in parts.items()}
        self._results = {name: msgspec.json.Decoder(kind.answered) for name, kind in parts.items()}
        self._shards = shards
        self.parked = parked
        self.forwards = forwards
        self._failed = failed

    def begin(self, gather: Gather, request: OpenRequest, message: ClientMessage, now_ns: int) -> None:
        """Begins a dialogue, whose result goes to a request. Raises `Refusal` (limit_reached)."""
        gathering = _Gathering(request.order, message, self, gather, request)
        self._begin(gathering, len(encode(request.call.params)), now_ns)

    def begin_aside(self, dialogue: Dialogue, message: ClientMessage, now_ns: int) -> None:
        """Begins a dialogue that no client waits for, and gives it as long as a request has."""
        until_ns = now_ns + FORWARD_WITHIN_MS * NS_PER_MS
        gather = Gather(dialogue=dialogue, until_ns=until_ns, timed_out=lambda *_: None)
        gathering = _Gathering(self.forwards.next_order(), message, self, gather, None)
        self._begin(gathering, 0, now_ns)

    def apply(self, question: Question, shards: frozenset[int], now_ns: int) -> None:
        """Answers a question for shards of this server."""
        question.was_sent = True
        owned = [self._shards.numbered(number) for number in sorted(shards)]
        answer = LocalPart(question, shards)
        try:
            params = question.ask.params_for(shards)
            handler = self._handlers[question.method]
            outcome = handler([shard for shard in owned if shard is not None], params, now_ns, answer.room)
            if isinstance(outcome, Wait):
                waiter = self.parked.park(outcome, answer, None, question.gathering.sender, now_ns)
                self.parked.hold(answer)
                question.waiters.append(waiter)
                return
        except Elsewhere:
            self.forwards.come_back(question, shards)
            return
        except Refusal as refusal:
            outcome = refusal
        except Exception as error:
            outcome = self._failed(error)
        answer.fill_slot(0, outcome)
        self.parked.ready.append(answer)

    def resume(self, gathering: _Gathering) -> None:
        """Has a dialogue go on with what was told, as far as it asks nothing more."""
        dialogue = gathering.gather.dialogue
        try:
            while not gathering.questions:
                told, gathering.step = gathering.step, []
                asked = dialogue.send(told) if gathering.has_begun else next(dialogue)
                gathering.has_begun = True
                self._ask(gathering, [asked] if isinstance(asked, Ask) else asked)
        except StopIteration as end:
            self.finish(gathering, end.value)
        except Refusal as refusal:
            self.finish(gathering, refusal)
        except Exception as error:
            self.finish(gathering, self._failed(error))

    def expired(self, gathering: _Gathering, refusal: Refusal, now_ns: int) -> None:
        """Ends a dialogue whose time is up."""
        try:
            outcome = gathering.gather.timed_out(now_ns, gathering.room)
            if outcome is None:
                outcome = _IN_TIME if gathering.was_asked else refusal
        except Refusal as other:
            outcome = other
        self.finish(gathering, outcome)

    def finish(self, gathering: _Gathering, outcome: object) -> None:
        """Ends a dialogue, and what it has asked, with what it answers."""
        gathering.gather.dialogue.close()
        self.forwards.release(gathering)
        for question in [*gathering.questions]:
            self.give_up(question)
        gathering.questions.clear()
        self.forwards.told(gathering, gathering.tell(frozenset(), outcome))

    def give_up(self, question: Question) -> None:
        """Ends what is under way of a question."""
        for waiter in question.waiters:
            self.parked.give_up(waiter)
        self.forwards.cancel(question)

    def value(self, method: str, outcome: object) -> object:
        """What was told, as a dialogue gets it."""
        if isinstance(outcome, Raw):
            try:
                return self._results[method].decode(outcome)
            except msgspec.DecodeError as error:
                return self._failed(error)
        if isinstance(outcome, RpcError):
            return refusal_of(outcome)
        return outcome

    def _begin(self, gathering: _Gathering, size: int, now_ns: int) -> None:
        try:
            self.forwards.take(gathering, size, now_ns, gathering.gather.until_ns)
        except Refusal:
            gathering.gather.dialogue.close()
            raise
        if gathering.gather.holds:
            self.forwards.hold(gathering)
        self.resume(gathering)

    def _ask(self, gathering: _Gathering, asks: Sequence[Ask]) -> None:
        for ask in asks:
            if ask.shards:
                gathering.asked += 1
                question = Question(gathering.order + gathering.asked, gathering, ask)
                self.forwards.take(question, 0, 0, gathering.until_ns)
                gathering.questions.add(question)


def _size_of(outcome: object) -> int:
    """About how many bytes an answer of this server has."""
    return outcome.bytes + _ENTRY_BYTES * outcome.entries if isinstance(outcome, Answered) else 0


def refusal_of(error: RpcError) -> Refusal:
    """The refusal that an error was made of."""
    known = {name: value for name, value in error.data.items() if name not in ("name", "retryable", "reason")}
    return Refusal(ErrorCode(error.code), error.data.get("reason", error.message), **known)
