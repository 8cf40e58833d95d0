"""Answers, one for each message that gets a reply. An answer is sent once it is complete."""

from collections.abc import Sequence

from timer_protocol.codec import Failure, RequestId, Result, encode
from timer_protocol.errors import ErrorCode, Refusal
from timer_server.requests.room import ReplyRoom

STORE_AWAY = Refusal(ErrorCode.STORAGE_FAILED, "the store does not answer now; send the request again")
"""For a request while the store is away. It may have been applied in part."""


class JsonAnswer:
    """The answer to a JSON-RPC message: a response, or an array of them in the order of the requests.

    `missing` counts the responses that are still to come; `room` is what may still be added.
    """

    __slots__ = ("_replies", "envelope", "is_batch", "missing", "room")

    def __init__(self, envelope: list[bytes], is_batch: bool) -> None:
        self.envelope = envelope
        self.missing = 0
        self.room = ReplyRoom()
        self.is_batch = is_batch
        self._replies: list[Result | Failure] = []

    @property
    def is_owed(self) -> bool:
        """Whether there is a response to send: notifications get none."""
        return bool(self._replies)

    def add(self, reply: Result | Failure) -> None:
        """Adds the response to the next request."""
        self._replies.append(reply)

    def hold_slot(self, request_id: RequestId) -> int:
        """Reserves a slot for a response that will come later, and returns its number."""
        self.missing += 1
        self._replies.append(Result(None, request_id))
        return len(self._replies) - 1

    def fill_slot(self, slot: int, outcome: object) -> bool:
        """Puts a result or a `Refusal` in a reserved slot; True if nothing is missing any more."""
        request_id = self._replies[slot].id
        if isinstance(outcome, Refusal):
            self._replies[slot] = Failure(outcome.to_error(), request_id)
        else:
            self._replies[slot] = Result(outcome, request_id)
        self.missing -= 1
        return self.missing == 0

    def size(self) -> int:
        """Bytes of the message so far."""
        return sum(map(len, self.frames()))

    def fail(self, refusal: Refusal) -> None:
        """Turns every response into an error."""
        self._replies = [Failure(refusal.to_error(), reply.id) for reply in self._replies]

    def frames(self) -> list[bytes]:
        """The whole message, envelope first."""
        return [*self.envelope, encode(self._replies if self.is_batch else self._replies[0])]


class TextAnswer:
    """The answer in the plain dialogue: the texts echoed, or one that begins with `error: `."""

    __slots__ = ("_texts", "envelope")

    missing = 0

    def __init__(self, envelope: list[bytes], texts: Sequence[bytes]) -> None:
        self.envelope = envelope
        self._texts = texts

    def fail(self, refusal: Refusal) -> None:
        """Turns the answer into an error."""
        self._texts = [f"error: {refusal.reason}".encode()]

    def frames(self) -> list[bytes]:
        """The whole message, envelope first."""
        return [*self.envelope, *self._texts]


Answer = JsonAnswer | TextAnswer
