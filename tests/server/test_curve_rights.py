"""What the rights of a key let it do, hear and find out, and that they change while the server runs."""

from collections.abc import Iterator
from typing import Any, get_args

import pytest
import zmq

from drivers.peers import socket_to
from keys import KeyRing, calls, client, hearing, next_topic
from local_server import LocalServer
from timer_client import NotPermitted
from timer_protocol.sender import Right

NEEDED: dict[str, tuple[Right | None, dict[str, Any]]] = {
    "server.info": (None, {}),
    "timer.start": ("start", {"id": "a", "hours": 1}),
    "timer.get": ("read", {"id": "a"}),
    "timer.list": ("read", {}),
    "timer.wait": ("read", {"id": "a", "wait_ms": 0}),
    "events.read": ("read", {"after": {}}),
    "timer.extend": ("change", {"id": "a", "hours": 1}),
    "timer.restart": ("change", {"id": "a"}),
}


@pytest.fixture
def ring(ring: KeyRing) -> KeyRing:
    """With a client for each right that has that one alone, named as it."""
    for right in get_args(Right):
        ring.add(f"may-{right}", rights=frozenset({right}))
    return ring


@pytest.fixture
def timers(locked: LocalServer, ring: KeyRing) -> Iterator[Any]:
    """The client of a key of whose rights nothing is said."""
    with client(locked, ring, "admin") as timers:
        yield timers


@pytest.mark.parametrize("right", get_args(Right))
def test_key_with_one_right_may_do_what_needs_that(
    locked: LocalServer, ring: KeyRing, timers: Any, right: Right
) -> None:
    timers.start(id="a", hours=1)
    with calls(locked, ring, f"may-{right}") as rpc:
        for method, (needed, params) in NEEDED.items():
            if needed in (None, right):
                rpc.call(method, **params)
            else:
                error = rpc.error(method, **params)
                assert (error["code"], error["data"]["right"]) == (-32007, needed)


def test_dialogue_needs_the_right_to_start(locked: LocalServer, ring: KeyRing) -> None:
    for name, said in (("may-start", b"1"), ("may-read", b"error: timer.start needs the right 'start'")):
        with socket_to(zmq.REQ, locked.commands, **ring.options(name)) as socket:
            socket.send_multipart([b"1", b"0", b"0"])
            assert socket.recv_multipart()[0].startswith(said)


def test_subscriber_without_the_right_to_read_hears_the_beat_alone(
    locked: LocalServer, ring: KeyRing, timers: Any
) -> None:
    with hearing(locked, ring, "may-start", b"") as deaf, hearing(locked, ring, "may-read", b"") as witness:
        timers.start(id="a", hours=1)
        assert next_topic(witness) == "a started"
        assert deaf.recv_multipart()[0] == b"~beat"
        while deaf.poll(100):
            assert deaf.recv_multipart()[0] == b"~beat"


def test_library_says_which_right_is_missing(locked: LocalServer, ring: KeyRing) -> None:
    with client(locked, ring, "may-read") as reader, pytest.raises(NotPermitted, match="needs the right 'start'") as no:
        reader.start(hours=1)
    assert no.value.data["right"] == "start"


def test_rights_that_change_cut_all_connections_and_count_from_then_on(
    locked: LocalServer, ring: KeyRing, timers: Any
) -> None:
    with client(locked, ring, "may-read") as reader, hearing(locked, ring, "may-read", b"") as subscriber:
        timers.start(id="a", hours=1)
        assert reader.get("a").state == "running"
        assert next_topic(subscriber) == "a started"
        ring.bind("may-read", rights=frozenset({"change"}))
        locked.reload()
        locked.wait_for_log("all connections are cut and may be made anew")
        with pytest.raises(NotPermitted, match="needs the right 'read'"):
            reader.get("a")
        while subscriber.poll(0):  # what was sent before all were cut off
            subscriber.recv_multipart()
        subscriber.recv_multipart()  # it is back, as it hears the beat
        assert reader.cancel("a").state == "cancelled"
        while subscriber.poll(100):
            assert subscriber.recv_multipart()[0] == b"~beat"
