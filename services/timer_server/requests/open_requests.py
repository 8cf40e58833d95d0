"""Requests whose response is still open: what is known of one, and where its response goes."""

from msgspec import Struct

from timer_protocol.codec import MethodCall
from timer_protocol.durations import NS_PER_MS
from timer_protocol.methods import Method
from timer_protocol.sender import Sender
from timer_server.requests.answers import Answer, JsonAnswer


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
