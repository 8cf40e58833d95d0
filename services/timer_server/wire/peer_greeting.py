"""What two servers say first on a connection, and why one refuses the other.

A greeting is three frames: a word, the number of the protocol between servers, and who is speaking. A refusal is two,
and any other message one. The number decides whether the rest can be read.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal, get_args

import msgspec
from msgspec import Meta, Struct

from timer_server.access.gate import Fingerprints

PROTOCOL = 1
"""The protocol between servers."""

Reason = Literal[
    "away",
    "broken",
    "silent",
    "no_address",
    "no_descriptors",
    "encryption",
    "not_admitted",
    "other_server",
    "other_protocol",
    "other_store",
    "other_pair",
    "other_clients",
    "not_known",
    "no_greeting",
]
"""Why there is no connection with another server."""

SENTENCES: Final[Mapping[Reason, str]] = {
    "away": "nothing there takes connections",
    "broken": "the connection broke",
    "silent": "there was no answer",
    "no_address": "its host cannot be found, or its address is none",
    "no_descriptors": "there are no descriptors left for a connection",
    "encryption": "it has another server key pair, or only one of the two uses keys",
    "not_admitted": "the key is not allowed where servers connect",
    "other_server": "another server than the one meant is there",
    "other_protocol": "it speaks another protocol between servers: its release does not fit",
    "other_store": "it serves another store",
    "other_pair": "it has another server key pair",
    "other_clients": "it has other keys of clients, or has yet to read them again",
    "not_known": "it has not heard of the server yet",
    "no_greeting": "it did not say who it is",
}

_HELLO, _REFUSED = b"timer-server", b"refused"
_NAME_CHARACTERS = 64
_Text = Annotated[str, Meta(max_length=128)]
_Digest = Annotated[bytes, Meta(max_length=32)]


class Hello(Struct, frozen=True, array_like=True):
    """Who is speaking: what must be the same for all servers of a store, and what tells them apart."""

    store: _Text
    incarnation: _Text
    name: _Text
    pair: _Digest
    clients: _Digest


def hello(store: str, incarnation: str, name: str, keys: Fingerprints) -> Hello:
    """What a server says of itself."""
    return Hello(store, incarnation, name[:_NAME_CHARACTERS], keys.pair, keys.clients)


def greeting(own: Hello) -> list[bytes]:
    """The frames that say it."""
    return [_HELLO, b"%d" % PROTOCOL, msgspec.msgpack.encode(own)]


def refusal(reason: Reason) -> list[bytes]:
    """The frames that say why there will be no more."""
    return [_REFUSED, reason.encode()]


def read_greeting(frames: Sequence[bytes]) -> Hello | Reason:
    """Who is speaking, or why that cannot be known."""
    if len(frames) != 3 or frames[0] != _HELLO:
        return "no_greeting"
    if frames[1] != b"%d" % PROTOCOL:
        return "other_protocol"
    try:
        return msgspec.msgpack.decode(frames[2], type=Hello)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return "no_greeting"


def read_answer(frames: Sequence[bytes]) -> Hello | Reason:
    """The same for what comes back: the other side's greeting, or why it refuses this one."""
    if len(frames) == 2 and frames[0] == _REFUSED:
        return next((known for known in get_args(Reason) if known.encode() == frames[1]), "other_protocol")
    return read_greeting(frames)


def difference(own: Hello, other: Hello) -> Reason | None:
    """Why two servers are not of one store; None where they are."""
    if other.store != own.store:
        return "other_store"
    if other.pair != own.pair:
        return "other_pair"
    return None if other.clients == own.clients else "other_clients"
