"""One connection: what it says of itself, and that it leaves ZeroMQ in order."""

import threading
import time
from collections.abc import Iterator

import pytest
import zmq

from timer_client.link import Context, Link
from timer_client.retry import Unanswered

LIMIT_S = 10.0


@pytest.fixture
def context() -> Iterator[Context]:
    made: Context = zmq.Context()
    yield made
    ending = threading.Thread(target=made.term, daemon=True)
    ending.start()
    ending.join(LIMIT_S)
    assert not ending.is_alive(), "something is not closed"


def _bound(context: Context, endpoint: str = "tcp://127.0.0.1:*") -> "zmq.Socket[bytes]":
    router = context.socket(zmq.ROUTER)
    router.linger = 0
    ends_s = time.monotonic() + LIMIT_S
    while True:
        try:
            router.bind(endpoint)
        except zmq.ZMQError:  # the port is not free at the instant in which its socket is closed
            assert time.monotonic() < ends_s
        else:
            return router


def _endpoint(router: "zmq.Socket[bytes]") -> str:
    return router.last_endpoint.decode()


def _settled(link: Link) -> str | None:
    """What the link says once it has been connected or has failed."""
    ends_s = time.monotonic() + LIMIT_S
    while not link.connected and link.failure is None:
        assert time.monotonic() < ends_s, "nothing happens: ZeroMQ's I/O thread is stuck"
        link.monitor.poll(100)
        link.check()
    return link.failure


def test_a_request_that_no_connection_takes_is_tried_again_by_whoever_sends_it(context: Context) -> None:
    with _bound(context) as router:
        link = Link(context, _endpoint(router))
        link.dealer.disconnect(_endpoint(router))
        with pytest.raises(Unanswered):
            link.send(b"1")
        link.close()


def test_a_reply_carries_the_token_of_its_request(context: Context) -> None:
    with _bound(context) as router:
        link = Link(context, _endpoint(router))
        first, second = link.send(b"1"), link.send(b"2")
        assert first != second
        requests = [router.recv_multipart() for _ in range(2)]
        for frames in reversed(requests):
            router.send_multipart(frames)
        replies: list[tuple[bytes, bytes] | None] = []
        while len(replies) < 2:
            assert link.dealer.poll(LIMIT_S * 1000)
            replies.append(link.receive())
        assert link.receive() is None
        assert replies == [(second, b"2"), (first, b"1")]
        assert _settled(link) is None
        link.close()


def test_frames_that_answer_nothing_are_passed_over(context: Context) -> None:
    with _bound(context) as router:
        link = Link(context, _endpoint(router))
        token = link.send(b"1")
        peer, *_ = router.recv_multipart()
        for frames in ([b""], [b"x", b"y"], [b"1", b"2", b"3", b"4"], [token, b"", b"reply"]):
            router.send_multipart([peer, *frames])
        replies: list[tuple[bytes, bytes] | None] = []
        while len(replies) < 4:
            assert link.dealer.poll(LIMIT_S * 1000)
            replies.append(link.receive())
        assert replies == [None, None, None, (token, b"reply")]
        link.close()


def test_nobody_there_is_told_at_once(context: Context) -> None:
    link = Link(context, "tcp://127.0.0.1:1")
    assert _settled(link) == "nothing there accepts connections"
    link.close()


def test_a_connection_that_is_lost_is_told_and_stays_lost(context: Context) -> None:
    router = _bound(context)
    endpoint = _endpoint(router)
    link = Link(context, endpoint)
    assert _settled(link) is None
    router.close(0)
    while link.check() is None:
        assert link.monitor.poll(LIMIT_S * 1000)
    with _bound(context, endpoint):
        assert link.check() == "the connection was lost"
        link.close()


def test_an_endpoint_that_cannot_be_used_leaves_nothing_open(context: Context) -> None:
    with pytest.raises(zmq.ZMQError):
        Link(context, "tcp://no port")


def test_an_idle_link_gathers_no_events(context: Context) -> None:
    """Unread events would fill the monitor, and its I/O thread would wait for their reader."""
    router = _bound(context)
    link = Link(context, _endpoint(router))
    assert _settled(link) is None
    router.close(0)
    events = 0
    while link.monitor.poll(500):
        link.monitor.recv_multipart()
        events += 1
    assert 1 <= events <= 3
    link.close()


def test_closing_in_the_middle_of_an_event_stops_no_thread(context: Context) -> None:
    """Links are closed while their server comes and goes; another one in the same context still connects."""
    with _bound(context) as stable:
        passing = _bound(context)
        endpoint = _endpoint(passing)
        done = threading.Event()
        coming_and_going = threading.Thread(target=_come_and_go, args=(passing, endpoint, done))
        coming_and_going.start()
        try:
            for number in range(600):
                link = Link(context, endpoint)
                link.send(b"x")
                link.monitor.poll(number % 3)
                link.check()
                link.close()
                if number % 200 == 0:
                    other = Link(context, _endpoint(stable))
                    assert _settled(other) is None
                    other.close()
        finally:
            done.set()
            coming_and_going.join(LIMIT_S)


def _come_and_go(router: "zmq.Socket[bytes]", endpoint: str, done: threading.Event) -> None:
    while not done.wait(0.0015):
        context = router.context
        router.close(0)
        router = _bound(context, endpoint)
    router.close(0)
