"""The messages between servers: requests sent on to the owners of shards, and what those reply.

Each server sends another at most one message of requests a turn, and one of replies. They are msgpack; params, results
and payloads stay the JSON that the client wrote or will read. A change here needs another number of the protocol in
`wire.peer_greeting`: servers compare it when they connect.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from timer_protocol.errors import RpcError
from timer_protocol.sender import ALL_RIGHTS, EVERYBODY, Right, Sender


class PeerSender(Struct, frozen=True, array_like=True):
    """The client whose request it is: the name of its key, its prefix and its rights. None is a server without keys."""

    name: str | None
    prefix: str = ""
    rights: tuple[Right, ...] = ()
    max_timers: int | None = None


class PeerRequest(Struct, frozen=True, array_like=True, tag=0, gc=False):
    """A request for shards that the server which gets it owns in the epochs that are named.

    `number` names it in the replies. `message` is the same for all requests of one message of a client: they share the
    room of one reply. `connection` is the client's at the server that sends this on, and `sender` its place among the
    senders of the message. Nobody waits for it after `left_ms`. `after_seq` is there where a wait is sent once more: an
    end after that `seq` has been waited for.
    """

    number: int
    message: int
    connection: bytes
    sender: int
    shards: tuple[tuple[int, int], ...]
    method: str
    params: bytes
    left_ms: int
    after_seq: int | None = None


class PeerCancel(Struct, frozen=True, array_like=True, tag=1, gc=False):
    """Nobody waits any more for the request of this number."""

    number: int


class Requests(Struct, frozen=True, array_like=True):
    """What one server asks of another in one turn, in order."""

    senders: Sequence[PeerSender]
    requests: Sequence[PeerRequest | PeerCancel]


class PeerResult(Struct, frozen=True, array_like=True, tag=0, gc=False):
    """A request has succeeded. `result` is JSON."""

    number: int
    result: bytes


class PeerError(Struct, frozen=True, array_like=True, tag=1):
    """A request was refused, as its client is to be told."""

    number: int
    error: RpcError


class PeerMoved(Struct, frozen=True, array_like=True, tag=2, gc=False):
    """A request was not applied, or not for good: the server does not serve its shards in the epochs it named.

    `serves` are those of them that it serves at present, and in which epochs: some may have been raised.
    """

    number: int
    serves: tuple[tuple[int, int], ...] = ()


class PeerWaiting(Struct, frozen=True, array_like=True, tag=3, gc=False):
    """A request was applied, and waits. `seq` is that of the last event of its shard by then, if it is of one."""

    number: int
    seq: int | None = None


PeerReply = PeerResult | PeerError | PeerMoved | PeerWaiting


class PeerTimeline(Struct, frozen=True):
    """The highest timeline of PostgreSQL that a server has seen.

    It is told to those who ask that server, unasked: replies are read even where requests are left.
    """

    timeline: int


_encoder = msgspec.msgpack.Encoder()
_requests = msgspec.msgpack.Decoder(Requests)
_replies: Any = msgspec.msgpack.Decoder(list[PeerReply] | PeerTimeline)


def packed(message: Requests | Sequence[PeerReply] | PeerTimeline) -> bytes:
    """A message as bytes."""
    return _encoder.encode(message)


def unpacked_requests(body: bytes) -> Requests:
    """A message of requests. Raises `msgspec.DecodeError`, also where one names a sender that the message has not."""
    message = _requests.decode(body)
    known = range(len(message.senders))
    for request in message.requests:
        if isinstance(request, PeerRequest) and request.sender not in known:
            raise msgspec.DecodeError(f"request {request.number} names sender {request.sender} of {len(known)}")
    return message


def unpacked_replies(body: bytes) -> list[PeerReply] | PeerTimeline:
    """A message to a server that asks. Raises `msgspec.DecodeError`."""
    message: list[PeerReply] | PeerTimeline = _replies.decode(body)
    return message


def peer_sender(sender: Sender) -> PeerSender:
    """A sender as other servers are told of it."""
    if sender is EVERYBODY:
        return PeerSender(None)
    return PeerSender(sender.name, sender.prefix, tuple(sorted(sender.rights)), sender.max_timers)


def sender_of(told: PeerSender) -> Sender:
    """The sender that another server has told of."""
    if told.name is None:
        return EVERYBODY
    return Sender(told.name, told.prefix, ALL_RIGHTS & set(told.rights), told.max_timers)
