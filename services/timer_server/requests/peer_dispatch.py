"""The owner's side of forwards: applies what other servers send on for the shards that this one serves."""

from collections.abc import Callable, Mapping

import msgspec
from msgspec.structs import replace

from timer_protocol.codec import Codec
from timer_protocol.errors import Refusal
from timer_protocol.sender import Sender
from timer_server.requests.answers import PeerAnswer
from timer_server.requests.between_servers import PeerCancel, PeerRequest, Requests, sender_of
from timer_server.requests.gathering import PartKinds
from timer_server.requests.methods import Handler
from timer_server.requests.missed_ends import waited_for
from timer_server.requests.parked import Parked
from timer_server.requests.placement import Elsewhere, Shards
from timer_server.requests.room import ReplyRoom
from timer_server.requests.shard import Shard
from timer_server.requests.waiters import Waiter
from timer_server.requests.waits import Wait, WaitForEnd

_SLACK = 64


class PeerDispatcher:
    """Applies messages of other servers.

    The server that got a request from its client has narrowed it to the client's rights and prefix, and has filled in
    what was left out. Only servers of the store get in here, so that is not looked at again. What waits counts for the
    client's key and connection. Nothing is ever sent on a second time.
    """

    def __init__(
        self,
        codec: Codec,
        handlers: Mapping[str, Handler],
        parts: PartKinds,
        shards: Shards,
        parked: Parked,
        failed: Callable[[Exception], Refusal],
    ) -> None:
        """`failed` is told of a request that has failed in the server, and gives the error for it."""
        self._codec = codec
        self._handlers = handlers
        self._parts = {name: (msgspec.json.Decoder(kind.asked), kind.handler()) for name, kind in parts.items()}
        self._shards = shards
        self._parked = parked
        self._failed = failed
        self._waiting: dict[tuple[str, int], Waiter] = {}
        """Requests that wait, by server and number."""

    def handle(self, peer: str, message: Requests, now_ns: int, refusal: Refusal | None = None) -> list[PeerAnswer]:
        """Applies a message of another server, given its incarnation; or refuses it. Returns what there is to tell so
        far.
        """
        senders = [sender_of(told) for told in message.senders]
        rooms: dict[int, ReplyRoom] = {}
        told: list[PeerAnswer] = []
        for request in message.requests:
            if isinstance(request, PeerCancel):
                self._give_up(peer, request.number)
                continue
            room = rooms.get(request.message)
            if room is None:
                room = rooms[request.message] = ReplyRoom()
            answer = _answer(peer, request, room)
            if refusal is None:
                answer = self._apply(answer, request, senders[request.sender], room, now_ns)
            else:
                answer.fail(refusal)
            told.append(answer)
        return told

    def left(self, peer: str) -> None:
        """Gives up what waits for a server whose connection, over which it has asked that, has ended: it asks again."""
        for of, number in [key for key in self._waiting if key[0] == peer]:
            self._give_up(of, number)

    def _apply(
        self, answer: PeerAnswer, request: PeerRequest, sender: Sender, room: ReplyRoom, now_ns: int
    ) -> PeerAnswer:
        found = [self._shards.numbered(number) for number, _ in request.shards]
        shards = [shard for shard in found if shard is not None]
        serves = tuple([(shard.number, shard.epoch) for shard in shards])
        if serves != request.shards:
            answer.move(serves)
            return answer
        try:
            room.check()
            result = self._result(request, shards, now_ns, room)
            if isinstance(result, Wait):
                return self._park(result, answer, sender, now_ns)
            answer.fill_slot(0, result)
        except Elsewhere:
            answer.move()
        except Refusal as refusal:
            answer.fail(refusal)
        except Exception as error:
            answer.fail(self._failed(error))
        return answer

    def _result(self, request: PeerRequest, shards: list[Shard], now_ns: int, room: ReplyRoom) -> object:
        part = self._parts.get(request.method)
        if part is not None:
            decoder, handler = part
            return handler(shards, decoder.decode(request.params), now_ns, room)
        params = self._codec.params_of(request.method, request.params)
        if getattr(params, "wait_ms", 0) > request.left_ms:
            params = replace(params, wait_ms=request.left_ms)
        if request.after_seq is not None:
            return waited_for(self._handlers[request.method], shards[0], params, request.after_seq, now_ns, room)
        return self._handlers[request.method](params, now_ns, room)

    def _park(self, wait: Wait, answer: PeerAnswer, sender: Sender, now_ns: int) -> PeerAnswer:
        """Lets a request wait, and tells the other server so: it holds up no other request then."""
        waiter = self._parked.park(wait, answer, None, sender, now_ns)
        self._parked.hold(answer)
        if len(self._waiting) > 2 * len(self._parked) + _SLACK:
            self._waiting = {key: waiter for key, waiter in self._waiting.items() if not waiter.is_done}
        self._waiting[answer.peer, answer.number] = waiter
        return answer.waiting(wait.after_seq if isinstance(wait, WaitForEnd) else None)

    def _give_up(self, peer: str, number: int) -> None:
        waiter = self._waiting.pop((peer, number), None)
        if waiter is not None:
            self._parked.give_up(waiter)


def _answer(peer: str, request: PeerRequest, room: ReplyRoom) -> PeerAnswer:
    shards = frozenset([number for number, _ in request.shards])
    return PeerAnswer(peer, request.number, request.connection, shards, room)
