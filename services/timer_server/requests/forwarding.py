"""Applying messages where there are other servers: what is for shards of others is sent on, and nothing depends on who
applies it.

A dispatcher fills in what the client has left out, the id of a start and the key of a change, before anything is
applied or sent: so each request can be repeated. It keeps what it has applied with the answer.
"""

from collections.abc import Callable, Collection, Mapping
from functools import partial

from msgspec import UNSET
from msgspec.structs import replace

from timer_protocol.codec import Codec, MethodCall, Result
from timer_protocol.durations import NS_PER_MS
from timer_protocol.errors import Refusal
from timer_protocol.limits import Limits
from timer_protocol.sender import EVERYBODY, Sender
from timer_server.logs import fields, log
from timer_server.requests.answers import Answer, JsonAnswer
from timer_server.requests.between_servers import peer_sender
from timer_server.requests.dispatch import Dispatcher
from timer_server.requests.errands import Errand
from timer_server.requests.forward_room import ClientMessage
from timer_server.requests.forwards import FORWARD_WITHIN_MS, Forwards
from timer_server.requests.gathering import Dialogue, Gather, PartKinds
from timer_server.requests.gatherings import Gatherings, Question
from timer_server.requests.kinds import Kind, Kinds
from timer_server.requests.methods import Handler
from timer_server.requests.missed_ends import waited_for
from timer_server.requests.open_requests import Forward, OpenRequest
from timer_server.requests.parked import Parked
from timer_server.requests.placement import Shards, shard_number
from timer_server.requests.redoing import Redoing
from timer_server.requests.room import ReplyRoom
from timer_server.requests.settling import Settling
from timer_server.requests.waits import Wait

_GRACE_MS = 1_000
"""How long the answer to a request that says how long it waits may take beyond that."""

_SENT_ON = object()
"""Stands for the result of a request that others apply."""


class ForwardingDispatcher(Dispatcher):
    """A dispatcher of one server among several. `forwards` has what it sends on."""

    def __init__(  # noqa: PLR0913 - those of a dispatcher, and what it knows of other servers
        self,
        codec: Codec,
        handlers: Mapping[str, Handler],
        parked: Parked,
        limits: Limits,
        new_id: Callable[[int, str], str],
        queue_prefix: Callable[[str], str | None],
        *,
        shards: Shards,
        forwards: Forwards,
        parts: PartKinds,
        in_line: Mapping[str, Handler],
        new_key: Callable[[], str],
    ) -> None:
        """`in_line` has the handlers that ask other servers, for what stands behind requests that were sent on.

        `new_key` makes a key for a change that has none.
        """
        super().__init__(codec, handlers, parked, limits, new_id, queue_prefix)
        self._shards = shards
        self._forwards = forwards
        self._lines, self._held = forwards.lines.by_key, forwards.lines.held
        self._in_line = {codec.call_type(name): handler for name, handler in in_line.items()}
        self._kinds = kinds = Kinds(codec, handlers, shards.count)
        self._kind_of_type = kinds.by_type
        self._new_key = new_key
        self._redoing = Redoing(kinds, parked, forwards, self._apply_open, partial(self._send_on, was_applied=True))
        self._messages = 0
        self._message: ClientMessage | None = None
        self._message_of: JsonAnswer | None = None
        self._gatherings = Gatherings(parts, shards, parked, forwards, self.failed)
        forwards.apply = self._apply_here

    def _hold(self, answer: JsonAnswer) -> None:
        super()._hold(answer)
        answer.is_handed_out = True
        if answer.missing and answer.is_batch:
            self._redoing.note_open(answer)
            self._parked.ready.append(Settling(answer))

    def _apply(self, _: Handler, call: MethodCall, answer: JsonAnswer, now_ns: int, sender: Sender) -> None:
        kind = self._kind_of_type[type(call)]
        is_request = call.id is not UNSET
        if not (is_request or kind.is_applied_unanswered):
            return
        if is_request:
            answer.kinds.append(type(call))
        is_prepared = False
        try:
            room = self._prepared(call, kind, answer, now_ns, sender)
            is_prepared = True
            result = self._result(call, kind, answer, room, now_ns, sender)
        except Exception as error:
            refusal = error if isinstance(error, Refusal) else self.failed(error)
            request = self._opened(call, kind, sender, answer, now_ns)
            if is_prepared and request.slot is not None:  # the next owner of a lost shard may say otherwise
                answer.note(request.order, call, sender, request.slot)
            request.answer_with(refusal, self._parked.ready)
            log.debug("refused", extra=fields(method=kind.method.name, reason=refusal.reason))
        else:
            if isinstance(result, Wait):
                self._wait(result, self._opened(call, kind, sender, answer, now_ns), now_ns)
            elif is_request and result is not _SENT_ON:
                reply = Result(result, call.id)  # type: ignore[arg-type]  # it is set
                answer.add_applied(reply, self._forwards.next_order(), call, sender)

    def _prepared(self, call: MethodCall, kind: Kind, answer: JsonAnswer, now_ns: int, sender: Sender) -> ReplyRoom:
        """Narrows a request to what its sender may do, and fills in what the client has left out. Returns the room for
        its result. Raises `Refusal`."""
        room = answer.room
        if call.id is UNSET:
            room = ReplyRoom()
        else:
            room.check()
        if sender.is_restricted:
            call.params = self._narrow(call, sender, now_ns)
        # What the client has left out is filled in, so that the request can be repeated.
        if kind.is_keyed and call.params.key is None:
            call.params = replace(call.params, key=self._new_key())
        elif kind.is_start and call.params.id is None:
            call.params = replace(call.params, id=self._new_id(now_ns // NS_PER_MS, ""))
        return room

    def _result(
        self, call: MethodCall, kind: Kind, answer: JsonAnswer, room: ReplyRoom, now_ns: int, sender: Sender
    ) -> object:
        """Applies a request in shards of this server; or sends it on, where it is for others or in line behind such."""
        if kind.id_name is not None:
            number = shard_number(getattr(call.params, kind.id_name), self._shards.count)
            shard = self._shards.numbered(number)
            connection = answer.envelope[0]
            if shard is None or (self._lines and (connection, number) in self._lines) or connection in self._held:
                self._send_on(self._opened(call, kind, sender, answer, now_ns), now_ns)
                return _SENT_ON
            if kind.is_of_shard:
                return shard.timer(call.params, now_ns, room)
        return self._handler(call, answer)(call.params, now_ns, room)

    def _handler(self, call: MethodCall, answer: JsonAnswer) -> Handler:
        """What handles a request. One about several shards stands in line behind what its connection has sent on."""
        if self._forwards.room.holds(answer.envelope[0]):
            return self._in_line.get(type(call)) or self._handlers[type(call)]
        return self._handlers[type(call)]

    def again(self, answer: Answer, lost: Collection[int], now_ns: int, until_ns: int | None = None, /) -> bool:
        return self._redoing.again(answer, lost, now_ns, until_ns)

    def wait_again(self, lost: Collection[int], now_ns: int, /) -> None:
        self._redoing.wait_again(lost, now_ns)

    def begin_aside(self, dialogue: Dialogue, now_ns: int) -> None:
        """Runs a dialogue that no client waits for. Raises `Refusal` (limit_reached)."""
        self._messages += 1
        self._gatherings.begin_aside(dialogue, ClientMessage(self._messages, b"", peer_sender(EVERYBODY)), now_ns)

    def fail_waiting(self, refusal: Refusal) -> None:
        self._forwards.fail_all(refusal)
        super().fail_waiting(refusal)

    # Parts

    def _opened(self, call: MethodCall, kind: Kind, sender: Sender, answer: JsonAnswer, now_ns: int) -> OpenRequest:
        """A request that is being applied, with a slot in its answer."""
        slot = None if call.id is UNSET else answer.hold_slot(call.id)
        wait_ms = getattr(call.params, "wait_ms", None)
        wait_until_ns = None if wait_ms is None else now_ns + wait_ms * NS_PER_MS
        return OpenRequest(self._forwards.next_order(), call, kind.method, sender, answer, slot, wait_until_ns)

    def _send_on(
        self, request: OpenRequest, now_ns: int, until_ns: int | None = None, *, was_applied: bool = False
    ) -> Forward | None:
        """Sends a request to the owner of its shard; or refuses it, and returns None, where too much is on its way."""
        shard = self._kinds.shard_of(request.call)
        assert shard is not None
        forward = Forward(self._message_for(request), shard, request, self._parked.ready)
        forward.was_sent, forward.is_keyed = was_applied, self._kinds.of(request.call).is_keyed
        if request.wait_until_ns is not None:
            until_ns = max(request.wait_until_ns + _GRACE_MS * NS_PER_MS, now_ns + FORWARD_WITHIN_MS * NS_PER_MS)
        try:
            self._forwards.take(forward, len(forward.body), now_ns, until_ns)
        except Refusal as refusal:
            request.answer_with(refusal, self._parked.ready)
            return None
        return forward

    def _message_for(self, request: OpenRequest) -> ClientMessage:
        """The message of a request, as other servers are told of it."""
        if self._message is None or self._message_of is not request.answer:
            self._messages += 1
            connection = request.answer.envelope[0]
            self._message = ClientMessage(self._messages, connection, peer_sender(request.sender))
            self._message_of = request.answer
        return self._message

    def _apply_here(self, errand: Errand, shards: frozenset[int], now_ns: int) -> None:
        """Does an errand in shards that have become this server's."""
        if isinstance(errand, Question):
            self._gatherings.apply(errand, shards, now_ns)
        elif isinstance(errand, Forward):
            self._forwards.told(errand, is_done=True)
            errand.request.after_seq = errand.after_seq
            self._apply_open(errand.request, now_ns)

    def _apply_open(self, request: OpenRequest, now_ns: int) -> None:
        """Applies a request here whose slot is open."""
        call, params = request.call, request.call.params
        handler = self._handler(call, request.answer)
        room = ReplyRoom() if request.slot is None else request.answer.room
        if request.wait_until_ns is not None:
            params = replace(params, wait_ms=request.left_ms(now_ns, request.wait_until_ns))
        try:
            if request.after_seq is None:
                result = handler(params, now_ns, room)
            else:
                result = waited_for(handler, self._shards.of(params.id), params, request.after_seq, now_ns, room)
        except Refusal as refusal:
            result = refusal
        except Exception as error:
            result = self.failed(error)
        if isinstance(result, Wait):
            self._wait(result, request, now_ns)
            self._parked.hold(request.answer)
            return
        if request.slot is not None:
            request.answer.note(request.order, call, request.sender, request.slot)
        request.answer_with(result, self._parked.ready)
        if request.slot is not None and request.answer.is_batch and request.answer.missing:
            self._parked.ready.append(Settling(request.answer, request.slot))

    def _wait(self, wait: Wait, request: OpenRequest, now_ns: int) -> None:
        """Lets a request wait for what it has to, or for what other servers tell."""
        answer, slot, sender = request.answer, request.slot, request.sender
        try:
            if isinstance(wait, Gather):
                self._gatherings.begin(wait, request, self._message_for(request), now_ns)
            elif slot is not None:
                answer.note(request.order, request.call, sender, slot)
                self._parked.park(wait, answer, None, sender, now_ns, slot)
        except Refusal as refusal:
            request.answer_with(refusal, self._parked.ready)
