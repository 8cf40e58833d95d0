"""The messages between servers: what is written is read again."""

import msgspec
import pytest

from timer_protocol.errors import RpcError
from timer_protocol.sender import EVERYBODY, Sender
from timer_server.requests.between_servers import (
    PeerCancel,
    PeerError,
    PeerMoved,
    PeerRequest,
    PeerResult,
    PeerSender,
    PeerWaiting,
    Requests,
    packed,
    peer_sender,
    sender_of,
    unpacked_replies,
    unpacked_requests,
)


def test_requests() -> None:
    request = PeerRequest(7, 3, b"c", 0, ((1, 9), (2, 4)), "timer.get", b'{"id":"a"}', 4000, 17)
    message = Requests([PeerSender("k", "p/", ("read",), 5)], [request, PeerCancel(6)])
    assert unpacked_requests(packed(message)) == message


def test_replies() -> None:
    error = RpcError(-32001, "Timer not found", {"name": "timer_not_found", "retryable": False, "reason": "none"})
    replies = [PeerResult(1, b"{}"), PeerError(2, error), PeerMoved(3), PeerWaiting(4, 17), PeerWaiting(5)]
    assert unpacked_replies(packed(replies)) == replies


def test_what_cannot_be_read() -> None:
    with pytest.raises(msgspec.DecodeError):
        unpacked_requests(b"\x93")


@pytest.mark.parametrize("sender", [-1, 1])
def test_a_sender_that_the_message_does_not_have(sender: int) -> None:
    request = PeerRequest(7, 3, b"c", sender, ((1, 9),), "timer.get", b'{"id":"a"}', 4000)
    with pytest.raises(msgspec.DecodeError, match="request 7 names sender"):
        unpacked_requests(packed(Requests([PeerSender("k")], [request])))


@pytest.mark.parametrize("sender", [Sender("k", "p/", frozenset({"read", "take"}), 7), EVERYBODY])
def test_senders(sender: Sender) -> None:
    known = sender_of(peer_sender(sender))
    assert known.may_the_same_as(sender)
    assert (known.name, known.max_timers) == (sender.name, sender.max_timers)
    assert (known is EVERYBODY) == (sender is EVERYBODY)
