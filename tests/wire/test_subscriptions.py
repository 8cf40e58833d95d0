"""What is published for whom: the notices of a real XPUB, from peers that are honest and peers that are not."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zmq

from drivers.peers import REPLY_LIMIT_MS, socket_to
from timer_server.access.admission import Admission
from timer_server.wire import subscriptions as subscriptions_module
from timer_server.wire.endpoints import Context, new_context
from timer_server.wire.events import Events
from timer_server.wire.subscriptions import Subscriptions

BURST = 200
COST = 40


class Desk:
    """An XPUB as the server has it, and what is known of its subscribers."""

    def __init__(self, context: Context, events: Events, admission: Admission) -> None:
        self._events, self._admission = events, admission
        self.endpoint = events.endpoint
        self.context = context

    @property
    def subscriptions(self) -> Subscriptions:
        return self._events._subscriptions

    def hear(self, count: int = 1) -> list[bytes]:
        """Takes so many notices, and returns what they say."""
        return [self._take() for _ in range(count)]

    def hear_from(self, sub: zmq.Socket[bytes]) -> None:
        """Takes a notice of a subscriber that has to come back: a SUB says it again only when it is looked at."""
        self._take(looked_at=sub)

    def settle(self) -> None:
        """Notes twice that there is nothing more: who had gone before the first time is forgotten the second time."""
        assert not self._events.socket.poll(0)
        for _ in range(2):
            self.subscriptions.settle()

    def cut_off(self) -> list[str]:
        """Cuts off the subscribers that are beyond the bounds, and returns the reasons."""
        reasons = []
        for subscriber, reason in self.subscriptions.beyond_bounds():
            subscriber.connection.end(by_reset=True)
            reasons.append(reason)
        return reasons

    def reopen(self) -> None:
        self._events.reopen()

    def _take(self, looked_at: zmq.Socket[bytes] | None = None) -> bytes:
        for _ in range(REPLY_LIMIT_MS // 5):
            if looked_at is not None:
                looked_at.poll(0)
            self._admission.admit(also_subscribers=True)
            if self._events.socket.poll(5):
                notice = self._events.socket.recv(copy=False)
                self.subscriptions.take(notice)
                return notice.bytes
        raise AssertionError("nothing came")


@contextmanager
def desk_at(address: str) -> Iterator[Desk]:
    context = new_context()
    try:
        admission = Admission(context, None)
        events = Events(context, address, admission)
        yield Desk(context, events, admission)
        events.listener.close()
    finally:
        context.destroy(linger=0)


@pytest.fixture
def tcp_desk() -> Iterator[Desk]:
    with desk_at("tcp://127.0.0.1:0") as desk:
        yield desk


@pytest.fixture(params=["tcp", "ipc"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    with desk_at("tcp://127.0.0.1:0" if request.param == "tcp" else f"ipc://{tmp_path}/events") as desk:
        yield desk


def test_subscribers_that_were_cut_off_find_the_socket_where_it_was(desk: Desk) -> None:
    with socket_to(zmq.SUB, desk.endpoint) as sub:
        for topic in (b"a", b"b", b"c"):
            sub.subscribe(topic)
            desk.hear_from(sub)
            desk.reopen()
        with socket_to(zmq.SUB, desk.endpoint) as another:
            another.subscribe(b"d")
            desk.hear()


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


def test_a_topic_that_its_only_subscriber_takes_back_is_given_up(desk: Desk) -> None:
    with socket_to(zmq.SUB, desk.endpoint) as sub:
        sub.subscribe(b"a")
        desk.hear()
        sub.unsubscribe(b"a")
        assert desk.hear() == [b"\x00a"]
        assert not desk.subscriptions.is_anything_wanted


def test_nobody_takes_back_the_topic_of_another(desk: Desk) -> None:
    with socket_to(zmq.SUB, desk.endpoint) as stays, socket_to(zmq.XSUB, desk.endpoint) as other:
        stays.subscribe(b"a")
        desk.hear()
        for told in (b"\x01a", b"\x00a", b"\x01a"):
            other.send(told)
            desk.hear()
            assert desk.subscriptions.wants(b"a fired")
        other.close()
        desk.hear()
        assert desk.subscriptions.wants(b"a fired")


def test_many_topics_count_as_all(desk: Desk) -> None:
    with socket_to(zmq.SUB, desk.endpoint) as sub:
        for number in range(66):
            assert not desk.subscriptions.wants(b"job/1 fired")
            sub.subscribe(b"order/%d " % number)
            desk.hear()
        assert desk.subscriptions.wants(b"job/1 fired")


def test_a_peer_in_the_own_process_is_believed() -> None:
    with desk_at("inproc://events") as desk:
        context = desk.context
        with context.socket(zmq.SUB) as sub:
            sub.connect("inproc://events")
            sub.subscribe(b"a")
            desk.hear()
            sub.unsubscribe(b"a")
            desk.hear()
            assert not desk.subscriptions.is_anything_wanted


def test_what_is_no_subscription_is_passed_over(tcp_desk: Desk) -> None:
    with socket_to(zmq.XSUB, tcp_desk.endpoint) as peer:
        for told in (b"hello", b"", b"\x02x"):
            peer.send(told)
        assert tcp_desk.hear(3) == [b"hello", b"", b"\x02x"]
        assert not tcp_desk.subscriptions.is_anything_wanted


class TestBounds:
    """They are those of the test, so that few topics reach them."""

    @pytest.fixture(autouse=True)
    def bounds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(subscriptions_module, "SUBSCRIBER_BYTES", 3 * (COST + 1))
        monkeypatch.setattr(subscriptions_module, "SUBSCRIBED_BYTES", 5 * (COST + 1))
        monkeypatch.setattr(subscriptions_module, "SUBSCRIBER_BURST", BURST)

    def test_a_subscriber_with_too_many_topics_is_cut_off_alone(self, desk: Desk) -> None:
        with socket_to(zmq.SUB, desk.endpoint) as stays, socket_to(zmq.SUB, desk.endpoint) as greedy:
            stays.subscribe(b"a")
            desk.hear()
            for topic in (b"b", b"c", b"d"):
                greedy.subscribe(topic)
                desk.hear()
            assert desk.cut_off() == []
            with greedy.get_monitor_socket(zmq.EVENT_DISCONNECTED) as ended:
                greedy.subscribe(b"e")
                desk.hear()
                assert desk.cut_off() == ["too many topics"]
                assert ended.poll(REPLY_LIMIT_MS)
            assert set(desk.hear(4)) == {b"\x00b", b"\x00c", b"\x00d", b"\x00e"}
            assert desk.subscriptions.wants(b"a fired")
            assert not desk.subscriptions.wants(b"b fired")

    def test_topics_that_are_taken_back_make_room(self, desk: Desk) -> None:
        with socket_to(zmq.SUB, desk.endpoint) as sub:
            for number in range(20):
                sub.subscribe(b"%c" % (65 + number))
                sub.unsubscribe(b"%c" % (65 + number))
                desk.hear(2)
                assert desk.cut_off() == []

    def test_where_all_have_too_many_the_one_with_the_most_is_cut_off(self, desk: Desk) -> None:
        with (
            socket_to(zmq.SUB, desk.endpoint) as one,
            socket_to(zmq.SUB, desk.endpoint) as most,
            socket_to(zmq.SUB, desk.endpoint) as last,
        ):
            for sub, topics in ((one, b"ab"), (most, b"cde"), (last, b"ce")):
                for topic in topics:
                    sub.subscribe(bytes([topic]))
                    desk.hear()
            assert desk.cut_off() == []  # those of the last one are there anyway
            with most.get_monitor_socket(zmq.EVENT_DISCONNECTED) as ended:
                last.subscribe(b"f")
                desk.hear()
                assert desk.cut_off() == ["too many topics of all, and it has the most"]
                assert desk.cut_off() == []  # before libzmq knows
                assert ended.poll(REPLY_LIMIT_MS)
            desk.hear(3)
            desk.settle()
            assert desk.cut_off() == []
            last.subscribe(b"g")
            desk.hear()
            assert desk.cut_off() == ["too many topics"]

    def test_one_who_subscribes_without_a_pause_is_cut_off(self, desk: Desk) -> None:
        with socket_to(zmq.SUB, desk.endpoint) as sub:
            for _ in range(BURST // 2):
                sub.subscribe(b"a")
                sub.unsubscribe(b"a")
            desk.hear(BURST)
            assert desk.cut_off() == []
            desk.settle()
            for _ in range(BURST // 2):
                sub.subscribe(b"a")
                sub.unsubscribe(b"a")
            desk.hear(BURST)
            assert desk.cut_off() == []
            sub.subscribe(b"a")
            desk.hear()
            assert desk.cut_off() == ["more subscriptions than can be handled"]

    def test_subscribers_that_have_gone_are_forgotten(self, desk: Desk) -> None:
        for _ in range(20):
            with socket_to(zmq.SUB, desk.endpoint) as sub:
                sub.subscribe(b"a")
                desk.hear()
            desk.hear()
            desk.settle()
        assert len(desk.subscriptions._subscribers) < 10
