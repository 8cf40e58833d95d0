"""Replies to peers who do not read: so many bytes, and no more, and never at the cost of those who do."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import zmq

from drivers.peers import REPLY_LIMIT_MS, socket_to
from drivers.raw_zmtp import RawPeer, message, raw_peer
from timer_server.wire import backlog as backlog_module
from timer_server.wire.backlog import Backlog

KIB = 1024
MIB = 1024 * KIB
IN_BUFFERS = 16 * MIB
"""What may be on its way in the kernel's buffers of one connection."""


class Desk:
    """A ROUTER whose peers are known by the ids they claim."""

    def __init__(self, router: zmq.Socket[bytes], stack: ExitStack) -> None:
        self.router = router
        self._stack = stack
        self.endpoint = router.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")
        self.backlog = Backlog()

    def meet(self, name: bytes) -> RawPeer:
        """A peer that does nothing unless the test makes it."""
        peer = self._stack.enter_context(raw_peer(self.endpoint))
        peer.shake_hands(b"DEALER", Identity=name)
        peer.send(message(b"hello"))
        assert self.router.recv_multipart() == [name, b"hello"]
        return peer

    def reply(self, name: bytes, size: int) -> bool:
        return self.backlog.send(self.router, [name, bytes(size)])

    def fill(self, name: bytes, size: int = MIB, most: int = 200) -> int:
        """Sends replies until no more are taken, and returns how many were."""
        for sent in range(most):
            if not self.reply(name, size):
                return sent
        return most


@pytest.fixture
def desk() -> Iterator[Desk]:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router, ExitStack() as stack:
        router.linger = 0
        router.sndhwm = 100_000
        router.rcvtimeo = REPLY_LIMIT_MS
        router.router_mandatory = True
        router.bind("tcp://127.0.0.1:0")
        yield Desk(router, stack)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that a test reaches soon: 2 MiB a peer, 3 MiB in all."""
    monkeypatch.setattr(backlog_module, "PEER_BACKLOG_BYTES", 2 * MIB)
    monkeypatch.setattr(backlog_module, "BACKLOG_BYTES", 3 * MIB)


@pytest.mark.usefixtures("small")
def test_large_replies_end_at_the_limit(desk: Desk) -> None:
    desk.meet(b"deaf")

    sent = desk.fill(b"deaf")

    assert 2 <= sent <= 2 + IN_BUFFERS // MIB
    assert not desk.reply(b"deaf", 1)


@pytest.mark.usefixtures("small")
def test_small_replies_end_at_the_limit_too(desk: Desk) -> None:
    desk.meet(b"deaf")

    sent = desk.fill(b"deaf", size=KIB, most=50_000)

    assert 2 * MIB // KIB <= sent <= (2 * MIB + IN_BUFFERS) // KIB


def test_a_peer_that_reads_gets_all_of_any_size(desk: Desk) -> None:
    with socket_to(zmq.DEALER, desk.endpoint, routing_id=b"reader", rcvhwm=0) as reader:
        reader.send(b"hello")
        desk.router.recv_multipart()
        for size in [MIB, KIB, 3 * MIB, 100] * 10:
            assert desk.reply(b"reader", size)
            assert len(reader.recv()) == size


@pytest.mark.usefixtures("small")
def test_whoever_reads_again_gets_replies_again(desk: Desk) -> None:
    late = desk.meet(b"late")
    sent = desk.fill(b"late")

    late.receive(sent * (MIB + 9))

    assert any(desk.reply(b"late", 1) or desk.router.poll(10) for _ in range(500))


@pytest.mark.usefixtures("small")
def test_what_a_peer_has_left_behind_is_not_counted_for_ever(desk: Desk) -> None:
    for name in (b"one", b"two", b"three"):
        deaf = desk.meet(name)
        desk.fill(name)
        deaf.close()
    desk.meet(b"four")

    assert any(desk.reply(b"four", MIB) or desk.router.poll(10) for _ in range(500))


@pytest.mark.usefixtures("small")
def test_where_all_together_hold_too_much_those_who_read_get_small_replies(desk: Desk) -> None:
    with socket_to(zmq.DEALER, desk.endpoint, routing_id=b"reader", rcvhwm=0) as reader:
        reader.send(b"hello")
        desk.router.recv_multipart()
        deaf = [desk.meet(b"deaf %d" % number) for number in range(4)]
        for number in range(len(deaf)):
            desk.fill(b"deaf %d" % number)
        assert desk.backlog.size >= 3 * MIB

        assert not desk.reply(b"reader", MIB)
        for _ in range(500):
            # That a fence has gone is told by a thread of pyzmq, a moment after the peer has read it.
            assert any(desk.reply(b"reader", KIB) or desk.router.poll(10) for _ in range(500))
            assert len(reader.recv()) == KIB


def test_a_reply_that_fails_is_not_counted(desk: Desk) -> None:
    for size in (KIB, MIB):
        with pytest.raises(zmq.ZMQError):
            desk.reply(b"nobody", size)

    assert desk.backlog.size == 0
    assert desk.backlog._since_fence == {}


def test_peers_counted_are_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog_module, "_PEERS_COUNTED", 3)
    peers = [desk.meet(b"%d" % number) for number in range(5)]
    for number in range(len(peers)):
        assert desk.reply(b"%d" % number, 1)

    assert len(desk.backlog._since_fence) <= 3
