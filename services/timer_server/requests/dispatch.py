"""Applying messages: from the frames of one to its answer. Nothing that a peer sends makes it raise."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any

from msgspec import UNSET, Struct

from timer_protocol.codec import Codec, Ignored, Malformed, MethodCall, Parsed, Result
from timer_protocol.durations import NS_PER_MS
from timer_protocol.errors import ErrorCode, Refusal, limit_reached
from timer_protocol.frames import Message, is_json, split_envelope
from timer_protocol.limits import Limits
from timer_protocol.messages import StartParams
from timer_protocol.methods import Method
from timer_protocol.plurals import counted
from timer_protocol.rights import narrow
from timer_protocol.sender import NOBODY, Sender
from timer_server.limits import ENVELOPE_BYTES, FRAMES_MAXIMUM
from timer_server.logs import fields, log
from timer_server.requests.answers import STORE_AWAY, Answer, JsonAnswer, TextAnswer
from timer_server.requests.dialogue import SeedDialogue
from timer_server.requests.joint_starts import JointStarts
from timer_server.requests.methods import Handler
from timer_server.requests.parked import Parked
from timer_server.requests.plain_starts import PlainStarts
from timer_server.requests.room import ReplyRoom
from timer_server.requests.tally import Kind
from timer_server.requests.waits import Wait
from timer_server.store.base import StoreAway, StoreError

NOT_STORED = Refusal(ErrorCode.STORAGE_FAILED, "the request could not be stored; send it again")
_NOT_ADMITTED = Refusal(
    ErrorCode.NOT_PERMITTED,
    "this client's key is allowed no longer, or its socket has a routing id of its own; leave ZMQ_ROUTING_ID unset",
)
_TOO_MANY_FRAMES = f"error: a message may have at most {FRAMES_MAXIMUM} frames".encode()
_TOO_LONG_AN_ENVELOPE = f"error: what stands before the empty frame may have at most {ENVELOPE_BYTES} bytes".encode()
_TOO_MANY_BYTES = b"error: expected hours, minutes and seconds; got more bytes than a message may have"


class Dispatcher:
    """Applies messages. Requests that have to wait go to `parked`, together with their answer.

    `failure` is set once the store has failed a request, unless it only is away; what was applied since the last commit
    does not count then.
    """

    def __init__(  # noqa: PLR0913 - what it reads by, what it applies, and who knows of ids, queues and starts
        self,
        codec: Codec,
        handlers: Mapping[str, Handler],
        parked: Parked,
        limits: Limits,
        new_id: Callable[[int, str], str],
        queue_prefix: Callable[[str], str | None],
        *,
        plain_starts: PlainStarts | None = None,
    ) -> None:
        """`new_id` makes an id at a moment, which begins with a prefix.

        `queue_prefix` looks up the prefix of a queue by its name; None where there is no such queue. `plain_starts`
        applies starts of a batch together, and those of several messages, where this server has all timers.
        """
        self._codec = codec
        self._handlers: dict[type, Handler] = {codec.call_type(name): handler for name, handler in handlers.items()}
        self._plain_starts = plain_starts
        self._held_starts = None if plain_starts is None else JointStarts(codec, limits, plain_starts)
        self._dialogue = SeedDialogue()
        self._parked = parked
        self.failure: StoreError | None = None
        self._limits = limits
        self._new_id = new_id
        self._queue_prefix = queue_prefix

    def handle(self, message: Message, now_ns: int) -> Answer | None:
        """Applies one message as far as its sender's rights go. Returns the answer, None where there is none to send.

        An answer with missing parts is sent later, when `parked` has completed it.
        """
        frames, sender = message.frames, message.sender
        if sender is NOBODY:
            return self.refuse(frames, _NOT_ADMITTED)
        envelope, body = split_envelope(frames)
        if len(frames) > 1 + FRAMES_MAXIMUM:
            return TextAnswer(envelope if len(envelope) <= FRAMES_MAXIMUM else frames[:1], [_TOO_MANY_FRAMES])
        if len(envelope) > 1 and sum(map(len, envelope[1:])) > ENVELOPE_BYTES:
            return TextAnswer(frames[:1], [_TOO_LONG_AN_ENVELOPE])
        if is_json(body):
            return self._answer(self._parse(body[0]), envelope, now_ns, sender)
        if sum(map(len, body)) > self._limits.max_message_bytes:
            return TextAnswer(envelope, [_TOO_MANY_BYTES])
        start = partial(self._start, sender, now_ns)
        return TextAnswer(envelope, self._dialogue.reply(frames[0], body, now_ns, start))

    def take_in(self, message: Message, now_ns: int, answers: list[Answer]) -> None:
        """Applies one message behind those that were taken in before it, and adds the answers that may be sent by now.

        A start that may be applied together with those of the next messages is held until then; or until `finish`.
        """
        held = self._held_starts
        if held is not None:
            start = held.start_in(message)
            if start is not None and self._may_start(start, message.sender, now_ns):
                held.hold(message, start)
                if held.are_enough:
                    self.finish(now_ns, answers)
                return
            self.finish(now_ns, answers)
        self.apply(message, now_ns, answers)

    def apply(self, message: Message, now_ns: int, answers: list[Answer]) -> None:
        """Applies one message at once, and adds its answer where there is one to send by now."""
        answer = self.handle(message, now_ns)
        if answer is not None and not answer.missing:
            answers.append(answer)

    def finish(self, now_ns: int, answers: list[Answer]) -> bool:
        """Applies the starts that are held, and adds their answers. Returns whether there were any."""
        held = self._held_starts
        if held is None or not held.calls:
            return False
        together = held.apply(now_ns)
        if together is not None:
            answers.append(together)
        else:
            for message, start in zip(held.messages, held.calls, strict=True):
                answer = self._answer(start, message.frames[:-1], now_ns, message.sender)
                if answer is not None:
                    answers.append(answer)
        held.let_go()
        return True

    def refuse(self, frames: list[bytes], refusal: Refusal) -> Answer | None:
        """The answer to a message that is refused as a whole."""
        envelope, body = split_envelope(frames)
        answer: Answer | None = TextAnswer(envelope, [])
        if is_json(body):
            answer = self._echo(self._parse(body[0]), envelope)
        if answer is not None:
            answer.fail(refusal)
        return answer

    def again(self, answer: Answer, _lost: Collection[int], _now_ns: int, _until_ns: int | None = None, /) -> bool:
        """Has what an answer tells of lost shards applied anew. Returns whether it may be told.

        Where there is nobody else to apply it, that is refused, as an answer does not say which shards it is about.
        """
        answer.fail(NOT_STORED)
        return True

    def wait_again(self, _lost: Collection[int], _now_ns: int, /) -> None:
        """Has what waits for something of lost shards wait for it elsewhere, or refuses it."""
        self._parked.fail_all(NOT_STORED)
        for answer in self._parked.ready:  # other parts of a batch may tell of lost shards
            answer.fail(NOT_STORED)

    def fail_waiting(self, refusal: Refusal) -> None:
        """Answers all that waits with an error."""
        self._parked.fail_all(refusal)

    def _parse(self, body: bytes) -> Parsed | list[Parsed]:
        if len(body) > self._limits.max_message_bytes:
            maximum = self._limits.max_message_bytes
            refusal = limit_reached("max_message_bytes", maximum, f"the message has {counted(len(body), 'byte')}")
            return Malformed(None, refusal.to_error())
        return self._codec.decode(body, self._limits.max_batch)

    def _answer(
        self, parsed: Parsed | list[Parsed], envelope: list[bytes], now_ns: int, sender: Sender
    ) -> JsonAnswer | None:
        answer = JsonAnswer(envelope, isinstance(parsed, list))
        if isinstance(parsed, list):
            for kind, items in groupby(parsed, type):
                self._apply_alike(kind, list(items), answer, now_ns, sender)
        else:
            self._apply_item(parsed, answer, now_ns, sender)
        if answer.missing:
            self._hold(answer)
        return answer if answer.is_owed else None

    def _apply_alike(
        self, kind: type[Parsed], items: Sequence[Any], answer: JsonAnswer, now_ns: int, sender: Sender
    ) -> None:
        """Applies requests of one type that stand one after the other: starts together, where that is possible."""
        plain_starts = self._plain_starts
        if plain_starts is not None and kind is plain_starts.kind:
            results = plain_starts.apply(items, answer.room, now_ns, sender)
            if results is not None:
                answer.add_all(plain_starts.kind, results)
                return
        for item in items:
            self._apply_item(item, answer, now_ns, sender)

    def _apply_item(self, item: Parsed, answer: JsonAnswer, now_ns: int, sender: Sender) -> None:
        """Applies one request, or says what is wrong with it."""
        handler = self._handlers.get(type(item))
        if handler is not None:
            self._apply(handler, item, answer, now_ns, sender)  # type: ignore[arg-type]  # only calls have handlers
        elif isinstance(item, Malformed):
            answer.kinds.append(self._kind_of(item))
            answer.add_failure(item.error, item.id)

    def _hold(self, answer: JsonAnswer) -> None:
        """Leaves an answer with missing responses to whoever will complete it. All its requests have been applied."""
        self._parked.hold(answer)

    def _apply(self, handler: Handler, call: MethodCall, answer: JsonAnswer, now_ns: int, sender: Sender) -> None:
        request_id = call.id
        if request_id is UNSET:
            self._apply_unanswered(handler, call, answer.room, now_ns, sender)
            return
        answer.kinds.append(type(call))
        try:
            answer.room.check()
            params = self._narrow(call, sender, now_ns) if sender.is_restricted else call.params
            result = handler(params, now_ns, answer.room)
            if isinstance(result, Wait):
                self._parked.park(result, answer, request_id, sender, now_ns)
            else:
                answer.add(Result(result, request_id))
        except Refusal as refusal:
            answer.add_failure(refusal.to_error(), request_id)
            log.debug("refused", extra=fields(method=self._codec.method_of(call).name, reason=refusal.reason))
        except Exception as error:
            answer.add_failure(self.failed(error).to_error(), request_id)

    def _apply_unanswered(
        self, handler: Handler, call: MethodCall, room: ReplyRoom, now_ns: int, sender: Sender
    ) -> None:
        """Applies a notification. Its result takes no room in the reply, and nobody is told of an error."""
        method = self._codec.method_of(call)
        if not is_applied_unanswered(method):
            return
        left_bytes = room.left_bytes
        try:
            handler(self._narrow(call, sender, now_ns) if sender.is_restricted else call.params, now_ns, room)
        except Refusal as refusal:
            log.debug("refused", extra=fields(method=method.name, reason=refusal.reason))
        except Exception as error:
            self.failed(error)
        room.left_bytes = left_bytes

    def _may_start(self, start: MethodCall, sender: Sender, now_ns: int) -> bool:
        """Whether a sender may ask for a start. Where it has named no id, it gets one that begins with its prefix."""
        if sender.is_restricted:
            try:
                start.params = self._narrow(start, sender, now_ns)
            except Refusal:
                return False
        return True

    def _start(self, sender: Sender, now_ns: int, params: StartParams) -> object:
        """Starts a timer of the dialogue. Raises `Refusal`."""
        call = self._codec.call_type("timer.start")("2.0", params=params)
        return self._handlers[type(call)](self._narrow(call, sender, now_ns), now_ns, ReplyRoom())

    def _narrow(self, call: MethodCall, sender: Sender, now_ns: int) -> Struct:
        """The params of a call, narrowed to what its sender may do. Raises `Refusal`."""
        params: Struct = call.params
        method, queue_prefix = self._codec.method_of(call), None
        if method.scope == "queue" and (queue_prefix := self._queue_prefix(call.params.queue)) is None:
            queue_prefix = sender.prefix  # to name a queue that is not there touches nothing
        return narrow(method, params, sender, partial(self._new_id, now_ns // NS_PER_MS), queue_prefix)

    def failed(self, error: Exception) -> Refusal:
        """The error for a request that failed in the server."""
        if isinstance(error, StoreAway):
            return STORE_AWAY
        if isinstance(error, StoreError):
            self.failure = error
            return Refusal(ErrorCode.STORAGE_FAILED, "the store could not be read; send the request again")
        log.error("a request failed in the server", exc_info=error)
        return Refusal(ErrorCode.INTERNAL_ERROR, "the server failed at this request; its log says how")

    def _echo(self, parsed: Parsed | list[Parsed], envelope: list[bytes]) -> JsonAnswer | None:
        """An answer with a place for each response, and nothing applied."""
        answer = JsonAnswer(envelope, isinstance(parsed, list))
        for item in parsed if isinstance(parsed, list) else (parsed,):
            if not isinstance(item, Ignored) and item.id is not UNSET:
                answer.kinds.append(self._kind_of(item))
                answer.add(Result(None, item.id))
        return answer if answer.is_owed else None

    def _kind_of(self, item: MethodCall | Malformed) -> Kind:
        """As what a request is counted."""
        if isinstance(item, Malformed):
            return self._codec.call_type(item.method) if item.method else Malformed
        return type(item)


def is_applied_unanswered(method: Method) -> bool:
    """Whether a notification is applied.

    One that only reads is not: it would cost as much as a request, and show its result to nobody. Nor is one that would
    hand something out.
    """
    return not method.needs_answer and method.right not in (None, "read")
