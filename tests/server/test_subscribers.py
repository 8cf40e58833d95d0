"""Subscribers that harm nobody but themselves: forged unsubscriptions, and more topics than may be kept."""

import zmq

from local_server import LocalServer
from peers import Requester, socket_to
from raw_zmtp import frame, raw_peer
from timer_protocol.limits import SUBSCRIBED_BYTES, SUBSCRIPTION_BYTES


def hear(socket: zmq.Socket[bytes], topic: bytes) -> None:
    """Receives until a message with this topic comes."""
    while socket.recv_multipart()[0] != topic:
        pass


def test_a_forged_unsubscription_takes_events_from_nobody(server: LocalServer, rpc: Requester) -> None:
    with socket_to(zmq.SUB, server.events) as sub, raw_peer(server.events) as forger:
        sub.subscribe(b"a")
        sub.subscribe(b"~beat")
        hear(sub, b"~beat")
        forger.shake_hands(b"SUB").send(frame(b"\x00a") * 2 + frame(b"\x01~beat"))
        forger.receive(1)  # the beat: what was sent before its subscription has been taken in
        rpc.call("timer.start", id="a", minutes=1)
        hear(sub, b"a started")


def test_too_many_topics_cut_all_subscribers_off_and_they_come_back(server: LocalServer, rpc: Requester) -> None:
    size = SUBSCRIPTION_BYTES - 1
    with socket_to(zmq.SUB, server.events) as sub, raw_peer(server.events) as greedy:
        sub.subscribe(b"a")
        sub.subscribe(b"~beat")
        hear(sub, b"~beat")
        greedy.shake_hands(b"SUB")
        topics = (b"\x01%0*d" % (size, number) for number in range(SUBSCRIBED_BYTES // size + 2))
        greedy.send(b"".join(frame(topic) for topic in topics))
        assert greedy.is_cut_off()
        assert server.wait_for_log("too many subscriptions: all subscribers are cut off and may connect again") == {}
        hear(sub, b"~beat")
        rpc.call("timer.start", id="a", minutes=1)
        hear(sub, b"a started")


def test_a_longer_subscription_than_any_topic_cuts_its_peer_off(server: LocalServer) -> None:
    with raw_peer(server.events) as peer:
        peer.shake_hands(b"SUB").send(frame(b"\x01".ljust(SUBSCRIPTION_BYTES + 1)))
        assert peer.is_cut_off()
