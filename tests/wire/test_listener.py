"""A listener whose process has no descriptors left goes on as it is, and listens again later."""

from collections.abc import Iterator
from contextlib import suppress

import pytest
import zmq

from drivers.peers import REPLY_LIMIT_MS, socket_to
from drivers.raw_zmtp import raw_peer
from drivers.restrictions import no_descriptor_left
from timer_server.wire.listener import CannotListen, Listener


@pytest.fixture
def listener() -> Iterator[Listener]:
    context = zmq.Context()
    made = Listener(context, lambda: context.socket(zmq.PULL), "tcp://127.0.0.1:0", linger_ms=0)
    try:
        yield made
        made.close()
    finally:
        context.destroy(linger=0)


def hears(listener: Listener, peer: zmq.Socket[bytes]) -> bool:
    """Whether something arrives; what is sent into a connection that was just cut does not."""
    for _ in range(REPLY_LIMIT_MS // 50):
        with suppress(zmq.Again):
            peer.send(b"hello", zmq.DONTWAIT)
        if listener.socket.poll(50):
            return listener.socket.recv() == b"hello"
    return False


def test_a_socket_that_cannot_be_replaced_keeps_its_connections(listener: Listener) -> None:
    with socket_to(zmq.PUSH, listener.endpoint) as peer:
        assert hears(listener, peer)
        with no_descriptor_left(), pytest.raises(CannotListen, match="Too many open files"):
            listener.reopen()
        assert hears(listener, peer)


def test_who_connects_while_nobody_listens_is_heard_later(listener: Listener) -> None:
    listener.pause()
    with socket_to(zmq.PUSH, listener.endpoint) as peer:
        with no_descriptor_left(), pytest.raises(CannotListen):
            listener.resume()
        listener.resume()
        assert hears(listener, peer)


def test_a_socket_that_is_replaced_listens_at_the_same_address(listener: Listener) -> None:
    with socket_to(zmq.PUSH, listener.endpoint) as peer:
        assert hears(listener, peer)
        listener.reopen()
        assert hears(listener, peer)


def test_a_poller_wakes_for_each_connection_also_of_a_socket_in_place_of_another(listener: Listener) -> None:
    poller = zmq.Poller()
    listener.register(poller)
    for _ in range(2):
        for _ in range(2):
            with socket_to(zmq.PUSH, listener.endpoint):
                ready = dict(poller.poll(REPLY_LIMIT_MS))
                assert ready
                listener.turn_away(ready)
        listener.reopen()


def test_to_make_room_the_newest_are_ended_and_where_there_are_none_nobody_listens(listener: Listener) -> None:
    poller = zmq.Poller()
    listener.register(poller)
    with raw_peer(listener.endpoint) as peer:
        assert listener.turn_away(dict(poller.poll(REPLY_LIMIT_MS))) == 0
        assert listener.make_room() == 1
        assert peer.is_cut_off()
        with pytest.raises(CannotListen, match="Too many open files"):
            listener.make_room()
        assert not listener.is_listening
    listener.resume()
    with socket_to(zmq.PUSH, listener.endpoint) as later:
        assert hears(listener, later)


def test_who_takes_the_last_descriptor_is_ended_whatever_its_number(listener: Listener) -> None:
    poller = zmq.Poller()
    listener.register(poller)
    with raw_peer(listener.endpoint) as peer:
        ready = dict(poller.poll(REPLY_LIMIT_MS))
        with no_descriptor_left():
            assert listener.turn_away(ready) == 1
        assert peer.is_cut_off()
