"""Servers that connect to each other: greetings first, everything in order, and what a connection loses is told."""

import time
from pathlib import Path
from unittest.mock import Mock

import pytest
import zmq

from campaigns.proxy import Proxy
from drivers.peers import socket_to
from drivers.raw_zmtp import message, raw_peer
from keys import KeyRing
from timer_server.access.gate import Gate
from timer_server.wire.peer_greeting import PROTOCOL, Hello, greeting
from timer_server.wire.peers import Incoming
from wire.peer_servers import Start, meet, shake_hands, until


def test_requests_and_replies_come_in_order_and_tell_whose_they_are(start: Start) -> None:
    a, b, c = servers = start("a"), start("b"), start("c")
    meet(*servers)
    for number in range(50):
        assert a.peers.send("b", b"from a %d" % number)
        assert c.peers.send("b", b"from c %d" % number)
    until(lambda: len(b.heard) == 100, b)
    for sender in (a, c):
        asked = [one.body for one in b.heard if one.incarnation == sender.name]
        assert asked == [b"from %s %d" % (sender.name.encode(), number) for number in range(50)]
    for one in b.heard:
        assert b.peers.reply(one.incarnation, b"to " + one.body)
    until(lambda: len(a.heard) == len(c.heard) == 50, a, c)
    assert a.heard == [Incoming("b", "reply", b"to from a %d" % number) for number in range(50)]
    assert [server.reasons() for server in servers] == [{}, {}, {}]


def test_nothing_is_sent_to_a_server_that_is_not_connected(start: Start) -> None:
    a, b = start("a"), start("b")
    assert not a.peers.send("b", b"early")
    a.follow(b)
    assert not a.peers.send("b", b"early")
    assert not a.peers.reply("b", b"unasked")
    assert a.peers.receive() is None


def test_a_server_is_admitted_once_it_is_known(start: Start) -> None:
    a, b = start("a"), start("b")
    a.follow(b)
    until(lambda: a.reasons() == {"b": "not_known"}, a, b)
    b.follow(a)
    until(lambda: a.has("connected"), a, b)
    b.peers.follow({})
    until(lambda: a.has("broken"), a, b)
    assert sorted(one.kind for one in b.heard) == ["broken", "connected", "joined", "left"]


def test_a_connection_that_breaks_is_told_and_made_again_and_nothing_old_comes_over_it(start: Start) -> None:
    a, b = start("a"), start("b")
    with Proxy(b.peers.port.endpoint) as proxy:
        a.peers.follow({"b": proxy.endpoint})
        b.follow(a)
        until(lambda: a.has("connected"), a, b)
        assert a.peers.send("b", b"first")
        until(lambda: b.has("request", b"first"), a, b)
        proxy.cut()
        until(lambda: a.has("broken"), a)
        assert not a.peers.send("b", b"while broken")
        until(lambda: len(a.bodies("connected")) == 2, a, b)
        assert a.peers.send("b", b"second")
        until(lambda: b.has("request", b"second"), a, b)
        assert b.peers.reply("a", b"answer")
        until(lambda: a.has("reply", b"answer"), a, b)
        assert [one.kind for one in a.heard if one.kind != "joined"] == ["connected", "broken", "connected", "reply"]
        assert b.bodies("request") == [b"first", b"second"]


@pytest.mark.usefixtures("impatient")
def test_a_silent_server_is_noticed_and_what_it_held_back_is_not_handed_on_later(start: Start) -> None:
    a, b = start("a"), start("b")
    with Proxy(b.peers.port.endpoint) as proxy:
        a.peers.follow({"b": proxy.endpoint})
        b.follow(a)
        until(lambda: a.has("connected"), a, b)
        begun_s = time.monotonic()
        proxy.hold()
        assert a.peers.send("b", b"held back")
        until(lambda: a.has("broken"), a, b)
        assert time.monotonic() - begun_s < 2
        until(lambda: len(a.bodies("connected")) == 2, a, b)
        assert a.peers.send("b", b"anew")
        until(lambda: b.has("request", b"anew"), a, b)
        proxy.silence()
        until(lambda: a.reasons() == {"b": "silent"}, a, b)
        assert not b.has("request", b"held back")


def test_a_server_that_is_away_is_tried_until_it_is_there(start: Start) -> None:
    a = start("a")
    with Proxy("tcp://127.0.0.1:9") as proxy:
        place = proxy.endpoint
    a.peers.follow({"b": place})
    until(lambda: a.reasons() == {"b": "away"}, a)
    b = start("b", endpoint=place)
    b.follow(a)
    until(lambda: a.has("connected"), a, b)
    assert not a.reasons()


def test_a_name_that_is_not_found_is_told(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = start("a"), start("b")
    a.peers.follow({"b": "tcp://nobody.invalid:1"})
    until(lambda: a.reasons() == {"b": "no_address"}, a)
    monkeypatch.setattr("timer_server.wire.lookup.numbered", lambda _: [b.peers.port.endpoint])
    b.follow(a)
    until(lambda: a.has("connected"), a, b)


def test_a_name_for_which_no_thread_is_left_is_tried_again(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    a = start("a")
    with monkeypatch.context() as patch:
        patch.setattr("threading.Thread.start", Mock(side_effect=RuntimeError("can't start new thread")))
        a.peers.follow({"b": "tcp://nobody.invalid:1"})
        until(lambda: a.reasons() == {"b": "no_address"}, a)
    b = start("b")
    monkeypatch.setattr("timer_server.wire.lookup.numbered", lambda _: [b.peers.port.endpoint])
    b.follow(a)
    until(lambda: a.has("connected"), a, b)


def test_what_is_known_without_a_message_is_taken_in_at_once(start: Start) -> None:
    a, b = start("a"), start("b")
    meet(a, b)
    assert a.peers.next_due_ns() > time.monotonic_ns()
    a.peers.follow({})
    assert a.peers.next_due_ns() == 0
    until(lambda: a.has("broken"), a)
    assert a.peers.next_due_ns() > 0


def test_another_server_at_the_address_is_not_taken_for_the_one_meant(start: Start) -> None:
    a, b = start("a"), start("b")
    b.follow(a)
    a.peers.follow({"c": b.peers.port.endpoint})
    until(lambda: a.reasons() == {"c": "other_server"}, a, b)
    assert not a.peers.send("c", b"for c")


def test_a_server_of_another_store_is_refused(start: Start) -> None:
    a, b = start("a"), start("b", store="another")
    a.follow(b)
    b.follow(a)
    until(lambda: a.reasons() == {"b": "other_store"} and b.reasons() == {"a": "other_store"}, a, b)
    assert a.heard == b.heard == []


def test_a_server_of_another_protocol_is_refused(start: Start) -> None:
    a, b = start("a"), start("b")
    a.follow(b)
    with raw_peer(a.peers.port.endpoint) as peer:
        newer = greeting(Hello("store", "b", "", b"", b""))
        newer[1] = b"%d" % (PROTOCOL + 1)
        shake_hands(peer, a).send(message(*newer))
        until(lambda: a.peers.port.refused["other_protocol"], a)
        assert b"other_protocol" in peer.tcp.recv(1000)


class TestKeys:
    @pytest.fixture
    def ring(self, tmp_path: Path) -> KeyRing:
        keys = KeyRing(tmp_path / "keys")
        keys.add("shop")
        keys.add("gateway", role="server")
        return keys

    def test_servers_with_one_pair_and_the_same_keys_meet(self, start: Start, ring: KeyRing) -> None:
        a, b = start("a", Gate(ring.files)), start("b", Gate(ring.files))
        meet(a, b)
        assert a.peers.send("b", b"secret")
        until(lambda: b.has("request", b"secret"), a, b)

    def test_other_keys_of_clients_are_refused_until_they_are_read(self, start: Start, ring: KeyRing) -> None:
        a = start("a", Gate(ring.files))
        ring.remove("shop")
        b = start("b", Gate(ring.files))
        a.follow(b)
        b.follow(a)
        until(lambda: a.reasons() == {"b": "other_clients"}, a, b)
        assert a.admission.gate is not None
        a.admission.gate.reload()
        a.peers.keys_read()
        until(lambda: a.has("connected") and b.has("connected"), a, b)

    def test_another_pair_and_none_are_refused(self, start: Start, ring: KeyRing, tmp_path: Path) -> None:
        a = start("a", Gate(ring.files))
        for other in (start("b", Gate(KeyRing(tmp_path / "others").files)), start("c")):
            a.follow(other)
            other.follow(a)
            until(lambda other=other: a.reasons() == {other.name: "encryption"}, a, other)  # type: ignore[misc]
            assert a.heard == other.heard == []

    def test_only_a_key_that_is_marked_so_may_speak_for_servers_and_is_cut_when_taken_away(
        self, start: Start, ring: KeyRing
    ) -> None:
        gate = Gate(ring.files)
        a = start("a", gate)
        a.peers.follow({"x": "tcp://127.0.0.1:9"})
        keys = gate.fingerprints()
        hello = greeting(Hello("store", "x", "gateway", keys.pair, keys.clients))
        with socket_to(zmq.DEALER, a.peers.port.endpoint, **ring.options("shop")) as client:
            client.send_multipart(hello)
            until(gate.take_refused, a)
        with socket_to(zmq.DEALER, a.peers.port.endpoint, **ring.options("gateway")) as gateway:
            gateway.send_multipart(hello)
            gateway.send(b"for a client")
            until(lambda: a.has("request", b"for a client"), a)
            ring.remove("gateway")
            gate.reload()
            a.peers.keys_read()
            gateway.send(b"too late")
            until(gate.take_refused, a)  # it is cut, and has come again
            assert a.bodies("request") == [b"for a client"]
