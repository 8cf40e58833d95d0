"""Answers, one for each message that gets a reply. An answer is sent once it is complete."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from timer_protocol.codec import Failure, MethodCall, RequestId, Result, encode
from timer_protocol.errors import ErrorCode, Refusal, RpcError
from timer_protocol.frames import Message
from timer_protocol.sender import Sender
from timer_server.requests.between_servers import PeerError, PeerMoved, PeerReply, PeerResult, PeerWaiting
from timer_server.requests.room import ReplyRoom
from timer_server.requests.tally import Kind, Tally

STORE_AWAY = Refusal(ErrorCode.STORAGE_FAILED, "the store does not answer now; send the request again")
"""For a request while the store is away. It may have been applied in part."""


Applied = dict[int, tuple[int, MethodCall, Sender]]
"""Calls that were applied, by slot, with their order and senders."""

_OPEN = object()
"""Stands in a slot for the result that is still to come."""


class JsonAnswer:
    """The answer to a JSON-RPC message: a response, or an array of them in the order of the requests.

    `missing` counts the responses that are still to come; `room` is what may still be added.

    `kinds` says of each response to which kind of request it is. Whoever adds one puts it there.

    Where there are other servers, `applied` has the calls that were applied here, by slot, with their order and
    senders: if a shard is lost before the answer is told, they are applied anew. `is_handed_out` says there that all
    requests have been applied or sent on: before, the answer is in the dispatcher's hands.
    """

    __slots__ = (
        "_has_failures",
        "_replies",
        "applied",
        "envelope",
        "is_batch",
        "is_handed_out",
        "kinds",
        "missing",
        "room",
    )

    def __init__(self, envelope: list[bytes], is_batch: bool) -> None:
        self.envelope = envelope
        self.missing = 0
        self.room = ReplyRoom()
        self.is_batch = is_batch
        self.applied: Applied | None = None
        self.is_handed_out = False
        self.kinds: list[Kind] = []
        self._replies: list[Result | Failure] = []
        self._has_failures = False
        """Whether some response is an error, or has been one."""

    @property
    def is_owed(self) -> bool:
        """Whether there is a response to send: notifications get none."""
        return bool(self._replies)

    def add(self, reply: Result) -> None:
        """Adds the response to the next request."""
        self._replies.append(reply)

    def add_all(self, kind: Kind, replies: Sequence[Result]) -> None:
        """Adds the responses to the next requests, all of one kind."""
        self.kinds += [kind] * len(replies)
        self._replies += replies

    def add_failure(self, error: RpcError, request_id: RequestId) -> None:
        """Adds an error as the response to the next request."""
        self._replies.append(Failure(error, request_id))
        self._has_failures = True

    def hold_slot(self, request_id: RequestId) -> int:
        """Reserves a slot for a response that will come later, and returns its number."""
        self.missing += 1
        self._replies.append(Result(_OPEN, request_id))
        return len(self._replies) - 1

    def add_applied(self, reply: Result, order: int, call: MethodCall, sender: Sender) -> None:
        """Adds the response to the next request, and keeps its call, which was applied."""
        if self.applied is None:
            self.applied = {len(self._replies): (order, call, sender)}
        else:
            self.applied[len(self._replies)] = order, call, sender
        self._replies.append(reply)

    def note(self, order: int, call: MethodCall, sender: Sender, slot: int) -> None:
        """Keeps a call that was applied, and is told in a slot.

        `order` says which of the calls of all messages was applied first.
        """
        if self.applied is None:
            self.applied = {slot: (order, call, sender)}
        else:
            self.applied[slot] = order, call, sender

    def reopen_slot(self, slot: int) -> None:
        """Reserves the slot of a response again that has been put there: it will come anew."""
        self._replies[slot] = Result(_OPEN, self._replies[slot].id)
        self.missing += 1

    def is_open(self, slot: int) -> bool:
        """Whether the response of a slot is still to come."""
        reply = self._replies[slot]
        return isinstance(reply, Result) and reply.result is _OPEN

    def fill_slot(self, slot: int, outcome: object) -> bool:
        """Puts a result, a `Refusal` or an `RpcError` in a reserved slot; True if nothing is missing any more."""
        request_id = self._replies[slot].id
        if isinstance(outcome, Refusal | RpcError):
            error = outcome.to_error() if isinstance(outcome, Refusal) else outcome
            self._replies[slot] = Failure(error, request_id)
            self._has_failures = True
        else:
            self._replies[slot] = Result(outcome, request_id)
        self.missing -= 1
        return self.missing == 0

    def size(self) -> int:
        """Bytes of the message so far."""
        replies = [Result(None, reply.id) if self.is_open(slot) else reply for slot, reply in enumerate(self._replies)]
        return sum(map(len, self.envelope)) + len(encode(replies))

    def fail(self, refusal: Refusal) -> None:
        """Turns every response into an error."""
        self._replies = [Failure(refusal.to_error(), reply.id) for reply in self._replies]
        self._has_failures = True

    def count(self, tally: Tally) -> None:
        """Counts what is told, once nothing is missing."""
        if self._has_failures:
            tally.count_each(self.kinds, self._replies)
        else:
            tally.count(self.kinds)

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

    def count(self, _: Tally) -> None:
        """Counts nothing: a text is no request of a method."""

    def frames(self) -> list[bytes]:
        """The whole message, envelope first."""
        return [*self.envelope, *self._texts]


class JointAnswer:
    """The answers to messages of one request each, all of one kind, that were applied together and have succeeded."""

    __slots__ = ("_kind", "_messages", "_replies")

    missing = 0

    def __init__(self, messages: Sequence[Message], kind: Kind, replies: Sequence[Result]) -> None:
        self._messages = messages
        self._kind = kind
        self._replies: Sequence[Result | Failure] = replies

    def fail(self, refusal: Refusal) -> None:
        """Turns every response into an error."""
        self._replies = [Failure(refusal.to_error(), reply.id) for reply in self._replies]

    def count(self, tally: Tally) -> None:
        """Counts what is told."""
        kinds = [self._kind] * len(self._replies)
        if isinstance(self._replies[0], Failure):  # then all are
            tally.count_each(kinds, self._replies)
        else:
            tally.count(kinds)

    def all_frames(self) -> Iterator[list[bytes]]:
        """The messages, each whole and with its envelope first."""
        for message, reply in zip(self._messages, self._replies, strict=True):
            yield [*message.frames[:-1], encode(reply)]


class PeerAnswer:
    """The answer to a request that another server has sent on: its reader is that server.

    `peer` is its incarnation, `number` that of the request, and `shards` are those it was applied in. `envelope` names
    the connection of the client.
    """

    __slots__ = ("envelope", "missing", "number", "peer", "reply", "room", "shards")

    is_batch = False

    def __init__(
        self,
        peer: str,
        number: int,
        connection: bytes,
        shards: frozenset[int] = frozenset(),
        room: ReplyRoom | None = None,
    ) -> None:
        """`room` is shared by all requests of one message of the client."""
        self.peer = peer
        self.number = number
        self.envelope = [connection]
        self.shards = shards
        self.room = ReplyRoom() if room is None else room
        self.missing = 0
        self.reply: PeerReply = PeerMoved(number)

    def hold_slot(self, _: RequestId = None) -> int:
        """Reserves the only slot."""
        self.missing = 1
        return 0

    def fill_slot(self, _: int, outcome: object) -> bool:
        """Puts a result or a `Refusal` in the slot. Nothing is missing any more then."""
        self.missing = 0
        if isinstance(outcome, Refusal):
            self.fail(outcome)
        else:
            self.reply = PeerResult(self.number, encode(outcome))
        return True

    def size(self) -> int:
        """Bytes of the answer so far: none, since it has one part."""
        return 0

    def fail(self, refusal: Refusal) -> None:
        """Turns the answer into an error."""
        self.reply = PeerError(self.number, refusal.to_error())

    def move(self, serves: tuple[tuple[int, int], ...] = ()) -> None:
        """Has the other server look for the owner anew. `serves` are the shards that are served here, with their
        epochs."""
        self.missing = 0
        self.reply = PeerMoved(self.number, serves)

    def waiting(self, seq: int | None) -> "PeerAnswer":
        """What to tell the other server while the request waits. `seq` is that of the last event by now."""
        told = PeerAnswer(self.peer, self.number, self.envelope[0], self.shards, self.room)
        told.reply = PeerWaiting(self.number, seq)
        return told


class PartAnswer(ABC):
    """The answer to a part of a question, whose reader is in this server. It is told once it is durable, as all are."""

    is_batch = False

    def __init__(self, connection: bytes, room: ReplyRoom) -> None:
        self.envelope = [connection]
        self.room = room
        self.missing = 0
        self.outcome: object = None
        """A result or a `Refusal`."""

    def hold_slot(self, _: RequestId = None) -> int:
        """Reserves the only slot."""
        self.missing = 1
        return 0

    def fill_slot(self, _: int, outcome: object) -> bool:
        """Puts a result or a `Refusal` in the slot. Nothing is missing any more then."""
        self.missing = 0
        self.outcome = outcome
        return True

    def fail(self, refusal: Refusal) -> None:
        """Turns the answer into an error."""
        self.outcome = refusal

    def size(self) -> int:
        """Bytes of the answer so far: none, since it has one part."""
        return 0

    @abstractmethod
    def tell(self) -> None:
        """Tells the reader what the outcome is."""


Answer = JsonAnswer | JointAnswer | TextAnswer | PeerAnswer | PartAnswer
Waiting = JsonAnswer | PeerAnswer | PartAnswer
"""Answers of which a part may be still to come."""
