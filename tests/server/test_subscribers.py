"""Subscribers that harm nobody but themselves: forged unsubscriptions, and more topics than may be kept."""

from contextlib import suppress

import pytest
import zmq

from drivers.peers import Requester, socket_to
from drivers.raw_zmtp import frame, raw_peer
from local_server import LocalServer
from timer_server.limits import SUBSCRIBER_BYTES, SUBSCRIPTION_BYTES
from timer_server.wire import feed

CUT_OFF = "all subscribers are cut off and may connect again"


def hear(socket: zmq.Socket[bytes], topic: bytes) -> None:
    """Receives until a message with this topic comes."""
    while socket.recv_multipart()[0] != topic:
        pass


def has_come_back(socket: zmq.Socket[bytes], rpc: Requester) -> bool:
    """Whether events arrive again: what is published before the subscription is there again does not."""
    for number in range(50):
        rpc.call("timer.start", id=f"a/{number}", minutes=1)
        while socket.poll(200):
            if socket.recv_multipart()[0] == b"a/%d started" % number:
                return True
    return False


def test_a_forged_unsubscription_takes_events_from_nobody(server: LocalServer, rpc: Requester) -> None:
    with socket_to(zmq.SUB, server.events) as sub, raw_peer(server.events) as forger:
        sub.subscribe(b"a")
        sub.subscribe(b"~beat")
        hear(sub, b"~beat")
        forger.shake_hands(b"SUB").send(frame(b"\x00a") * 2 + frame(b"\x01~beat"))
        forger.receive(1)  # the beat: what was sent before its subscription has been taken in
        rpc.call("timer.start", id="a", minutes=1)
        hear(sub, b"a started")


def test_one_with_too_many_topics_is_cut_off_and_nobody_else(server: LocalServer, rpc: Requester) -> None:
    with socket_to(zmq.SUB, server.events) as sub, sub.get_monitor_socket(zmq.EVENT_DISCONNECTED) as ended:
        sub.subscribe(b"a")
        sub.subscribe(b"~beat")
        hear(sub, b"~beat")
        with raw_peer(server.events) as greedy:
            greedy.shake_hands(b"SUB")
            with suppress(OSError):  # cut off before it has sent all
                for number in range(2 * SUBSCRIBER_BYTES // 100):
                    greedy.send(frame(b"\x01%0100d" % number))
            assert greedy.is_cut_off()
        assert server.wait_for_log("a subscriber is cut off and may connect again")["reason"] == "too many topics"
        rpc.call("timer.start", id="a", minutes=1)
        hear(sub, b"a started")
        assert not ended.poll(0)


def test_a_subscriber_that_never_reads_is_cut_off_with_the_others_and_they_come_back(
    server: LocalServer, rpc: Requester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "EVENTS_BYTES", 2_000_000)
    with socket_to(zmq.SUB, server.events, rcvhwm=0) as sub, raw_peer(server.events) as deaf:
        sub.subscribe(b"")
        deaf.shake_hands(b"SUB").send(frame(b"\x01"))
        deaf.receive(1)
        rpc.call("timer.start", id="large", hours=1, payload="x" * 60_000)
        for _ in range(400):
            rpc.call("timer.restart", id="large")
        assert "do not read" in server.wait_for_log(CUT_OFF)["reason"]
        assert deaf.is_cut_off()
        assert has_come_back(sub, rpc)


def test_a_longer_subscription_than_any_topic_cuts_its_peer_off(server: LocalServer) -> None:
    with raw_peer(server.events) as peer:
        peer.shake_hands(b"SUB").send(frame(b"\x01".ljust(SUBSCRIPTION_BYTES + 1)))
        assert peer.is_cut_off()
