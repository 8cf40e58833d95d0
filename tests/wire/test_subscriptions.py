"""What is published for whom: the notices of a real XPUB, from peers that are honest and peers that are not."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zmq

from drivers.peers import REPLY_LIMIT_MS, socket_to
from drivers.raw_zmtp import message, raw_peer
from timer_server.wire import subscriptions as subscriptions_module
from timer_server.wire.events import Events
from timer_server.wire.subscriptions import Subscriptions


class Desk:
    """An XPUB, and what is known of its subscribers."""

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self.socket = socket
        self.endpoint = socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")
        self.subscriptions = Subscriptions(is_manual=False)

    def hear(self, count: int = 1) -> list[bytes]:
        """Takes so many notices, and returns what they say."""
        notices = [self.socket.recv(copy=False) for _ in range(count)]
        self.subscriptions.take(notices)
        return [notice.bytes for notice in notices]


@contextmanager
def desk_at(address: str) -> Iterator[Desk]:
    with zmq.Context() as context, context.socket(zmq.XPUB) as socket:
        socket.rcvtimeo = REPLY_LIMIT_MS
        socket.linger = 0
        socket.bind(address)
        yield Desk(socket)


@pytest.fixture
def tcp_desk() -> Iterator[Desk]:
    with desk_at("tcp://127.0.0.1:0") as desk:
        yield desk


@pytest.fixture(params=["tcp", "ipc"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    with desk_at("tcp://127.0.0.1:0" if request.param == "tcp" else f"ipc://{tmp_path}/events") as desk:
        yield desk


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:0", "ipc://{folder}/events"])
def test_subscribers_that_were_cut_off_find_the_socket_where_it_was(address: str, tmp_path: Path) -> None:
    context = zmq.Context()
    events = Events(context, address.format(folder=tmp_path))
    events.register(zmq.Poller())
    try:
        with socket_to(zmq.SUB, events.endpoint) as sub:
            for topic in (b"a", b"b", b"c"):
                sub.subscribe(topic)
                wait_until_heard(sub, events)
                events.reopen()
            with socket_to(zmq.SUB, events.endpoint) as another:
                another.subscribe(b"d")
                wait_until_heard(another, events)
    finally:
        context.destroy(linger=0)


def wait_until_heard(sub: zmq.Socket[bytes], events: Events) -> None:
    """Waits for the notice of a subscription. What a SUB has to say again is said only when its program looks at it."""
    for _ in range(REPLY_LIMIT_MS // 10):
        sub.poll(0)
        if events.socket.poll(10):
            return
    raise AssertionError("the subscriber has not come back")


def test_nothing_is_wanted_until_somebody_subscribes(desk: Desk) -> None:
    assert not desk.subscriptions.is_anything_wanted
    with socket_to(zmq.SUB, desk.endpoint) as sub:
        sub.subscribe(b"~beat")
        desk.hear()
        assert not desk.subscriptions.is_anything_wanted
        sub.subscribe(b"order/")
        desk.hear()
        assert desk.subscriptions.is_anything_wanted
        assert desk.subscriptions.wants(b"order/42 fired")
        assert not desk.subscriptions.wants(b"job/1 fired")


def test_a_topic_is_given_up_when_its_last_subscriber_has_gone(desk: Desk) -> None:
    with socket_to(zmq.SUB, desk.endpoint) as stays:
        stays.subscribe(b"b")
        desk.hear()
        with socket_to(zmq.SUB, desk.endpoint) as goes:
            goes.subscribe(b"a")
            desk.hear()
        assert desk.hear() == [b"\x00a"]
        assert not desk.subscriptions.wants(b"a fired")
        assert desk.subscriptions.wants(b"b fired")


def test_a_peers_own_word_takes_no_topic_away(desk: Desk) -> None:
    """It may be true, and then the topic is only encoded for nobody; or it may be forged."""
    with socket_to(zmq.SUB, desk.endpoint) as sub:
        sub.subscribe(b"a")
        desk.hear()
        sub.unsubscribe(b"a")
        assert desk.hear() == [b"\x00a"]
        assert desk.subscriptions.wants(b"a fired")


def test_many_topics_count_as_all() -> None:
    with zmq.Context() as context, context.socket(zmq.XPUB) as socket:
        socket.bind("inproc://events")
        desk = Desk(socket)
        with context.socket(zmq.SUB) as sub:
            sub.connect("inproc://events")
            for number in range(65):
                assert not desk.subscriptions.wants(b"job/1 fired")
                sub.subscribe(b"order/%d " % number)
                desk.hear()
            assert desk.subscriptions.wants(b"job/1 fired")


def test_a_peer_in_the_own_process_is_believed() -> None:
    with zmq.Context() as context, context.socket(zmq.XPUB) as socket:
        socket.bind("inproc://events")
        desk = Desk(socket)
        with context.socket(zmq.SUB) as sub:
            sub.connect("inproc://events")
            sub.subscribe(b"a")
            desk.hear()
            sub.unsubscribe(b"a")
            desk.hear()
            assert not desk.subscriptions.is_anything_wanted


def test_what_is_no_subscription_is_passed_over(tcp_desk: Desk) -> None:
    with raw_peer(tcp_desk.endpoint) as peer:
        peer.shake_hands(b"SUB").send(message(b"hello") + message(b"") + message(b"\x02x"))
        assert tcp_desk.hear(3) == [b"hello", b"", b"\x02x"]
        assert not tcp_desk.subscriptions.is_anything_wanted


def test_bytes_of_topics_are_counted_once_each(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions_module, "SUBSCRIBED_BYTES", 8)
    with socket_to(zmq.SUB, desk.endpoint) as stays, socket_to(zmq.SUB, desk.endpoint) as goes:
        for sub in (stays, goes):
            sub.subscribe(b"four")
        desk.hear()
        goes.subscribe(b"more")
        desk.hear()
        assert not desk.subscriptions.are_too_many
        goes.subscribe(b"5")
        desk.hear()
        assert desk.subscriptions.are_too_many
        goes.close()
        desk.hear(2)
        assert not desk.subscriptions.are_too_many


def test_a_manual_socket_tells_of_each_subscriber_that_leaves() -> None:
    with zmq.Context() as context, context.socket(zmq.XPUB) as socket:
        socket.rcvtimeo = REPLY_LIMIT_MS
        socket.linger = 0
        socket.setsockopt(zmq.XPUB_MANUAL, 1)
        socket.bind("tcp://127.0.0.1:0")
        desk = Desk(socket)
        desk.subscriptions = Subscriptions(is_manual=True)
        with socket_to(zmq.SUB, desk.endpoint) as stays:
            stays.subscribe(b"order/")
            desk.hear()
            with socket_to(zmq.SUB, desk.endpoint) as leaves:
                leaves.subscribe(b"order/")
                desk.hear()
            assert desk.hear() == [b"\x00order/"]
            assert desk.subscriptions.wants(b"order/1 fired")
        assert desk.hear() == [b"\x00order/"]
        assert not desk.subscriptions.is_anything_wanted
