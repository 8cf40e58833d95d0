"""Requests whose response is still open: what is known of one, and where its response goes."""

from msgspec import Struct

from timer_protocol.codec import MethodCall, encode
from timer_protocol.durations import NS_PER_MS
from timer_protocol.errors import Refusal
from timer_protocol.methods import Method
from timer_protocol.sender import Sender
from timer_server.requests.answers import Answer, JsonAnswer
from timer_server.requests.errands import Errand
from timer_server.requests.forward_room import ClientMessage


class OpenRequest(Struct, gc=False):
    """A request of a client that has not been answered, with what the client had left out.

    `order` says which request was first. `slot` is its place in the answer, None for a notification. `wait_until_ns` is
    until when it waits where it is to, and `after_seq` the last `seq` of its shard when it began to, where that is
    known.
    """

    order: int
    call: MethodCall
    method: Method
    sender: Sender
    answer: JsonAnswer
    slot: int | None
    wait_until_ns: int | None = None
    after_seq: int | None = None

    def answer_with(self, outcome: object, ready: list[Answer]) -> None:
        """Puts in a result or an error. The answer joins those that are ready where that completes it."""
        if self.slot is not None and self.answer.fill_slot(self.slot, outcome) and self.answer.is_handed_out:
            ready.append(self.answer)

    def left_ms(self, now_ns: int, until_ns: int) -> int:
        """How long it waits yet, where it gives up at `until_ns`."""
        return max((until_ns if self.wait_until_ns is None else self.wait_until_ns) - now_ns, 0) // NS_PER_MS


class Forward(Errand):
    """A request about one id, to be applied by the owner of its shard."""

    __slots__ = ("body", "ready", "request")

    def __init__(self, message: ClientMessage, shard: int, request: OpenRequest, ready: list[Answer]) -> None:
        """`ready` is where the answer goes once it is complete."""
        super().__init__(request.order, message, request.method.name, (shard,))
        self.request = request
        self.body = encode(request.call.params)
        self.ready = ready
        self.after_seq = request.after_seq

    def left_ms(self, now_ns: int) -> int:
        return self.request.left_ms(now_ns, self.until_ns)

    def params(self, _: tuple[tuple[int, int], ...]) -> bytes:
        return self.body

    def tell(self, _: frozenset[int], outcome: object) -> bool:
        self.request.answer_with(outcome, self.ready)
        return True

    def expire(self, refusal: Refusal, _: int) -> None:
        self.request.answer_with(refusal, self.ready)
