"""Servers that connect to each other: greetings first, everything in order, and what a connection loses is told."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from unittest.mock import Mock

import pytest
import zmq

from campaigns.proxy import Proxy
from drivers.peers import socket_to
from drivers.raw_zmtp import RawPeer, message, raw_peer
from keys import KeyRing
from timer_server.access.admission import Admission
from timer_server.access.gate import Gate
from timer_server.wire import backlog, peer_link, peer_port
from timer_server.wire.connections import Connection, connection_of
from timer_server.wire.peer_greeting import PROTOCOL, Hello, greeting
from timer_server.wire.peers import Incoming, Peers

LIMIT_S = 10.0
MIB = 1024 * 1024


class Server:
    """One server's connections, driven as its loop would."""

    def __init__(
        self,
        name: str,
        gate: Gate | None = None,
        store: str = "store",
        endpoint: str = "tcp://127.0.0.1:0",
        most_bytes: int = 32 * MIB,
    ) -> None:
        self.name = name
        self.context = zmq.Context()
        self.admission = Admission(self.context, gate)
        self.peers = Peers(self.context, endpoint, self.admission, most_bytes)
        self.peers.introduce(store, name, f"server {name}")
        self.heard: list[Incoming] = []
        self._poller = zmq.Poller()
        self.admission.register(self._poller)
        self.peers.register(self._poller)

    def turn(self) -> None:
        ready = dict(self._poller.poll(2))
        self.peers.port.listener.turn_away(ready)
        if self.admission.is_asked(ready):
            self.admission.admit(also_subscribers=True)
        self.peers.step(time.monotonic_ns())
        if self.peers.has_news(ready):
            while (incoming := self.peers.receive()) is not None:
                self.heard.append(incoming)

    def follow(self, *others: "Server") -> None:
        self.peers.follow({other.name: other.peers.port.endpoint for other in (self, *others)})

    def has(self, kind: str, body: bytes | None = None) -> bool:
        return any(one.kind == kind and body in (None, one.body) for one in self.heard)

    def bodies(self, kind: str) -> list[bytes]:
        return [one.body for one in self.heard if one.kind == kind]

    def reasons(self) -> dict[str, str]:
        return {name: unreachable.reason for name, unreachable in self.peers.unreachable.items()}

    def close(self) -> None:
        self.peers.close()
        self.context.destroy(linger=0)


Start = Callable[..., Server]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts servers, which are closed afterwards."""
    with ExitStack() as stack:

        def started(*arguments: object, **options: object) -> Server:
            server = Server(*arguments, **options)  # type: ignore[arg-type]
            stack.callback(server.close)
            return server

        yield started


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is noticed after 200 ms."""
    for module in (peer_link, peer_port):
        monkeypatch.setattr(module, "HEARTBEAT_MS", 50)
        monkeypatch.setattr(module, "SILENCE_MS", 200)
    monkeypatch.setattr(peer_link, "_ANSWER_NS", 200_000_000)
    monkeypatch.setattr("timer_server.wire.peers._LOOK_NS", 100_000_000)


def is_ended(peer: RawPeer) -> bool:
    """Whether the other side has ended a connection, as far as that can be known by now."""
    try:
        return not peer.tcp.recv(1000)
    except TimeoutError:
        return False
    except OSError:
        return True


def shake_hands(peer: RawPeer, server: Server, **metadata: bytes) -> RawPeer:
    """Has a raw peer shake hands with a server, which is asked meanwhile whether it may."""
    with ThreadPoolExecutor(1) as pool:
        shaken = pool.submit(peer.shake_hands, b"DEALER", **metadata)
        until(shaken.done, server)
        return shaken.result()


def until(condition: Callable[[], object], *servers: Server) -> None:
    """Has servers take turns until something holds."""
    end_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end_s, [server.heard[-5:] for server in servers]
        for server in servers:
            server.turn()


def meet(*servers: Server) -> None:
    """Has servers follow each other until all are connected."""
    for server in servers:
        server.follow(*(other for other in servers if other is not server))
    until(lambda: all(len(server.bodies("connected")) == len(servers) - 1 for server in servers), *servers)
    for server in servers:
        server.heard.clear()


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


class TestStrangers:
    def test_what_is_no_greeting_ends_the_connection_and_reaches_nobody(self, start: Start) -> None:
        a, b = start("a"), start("b")
        meet(a, b)
        good = greeting(Hello("store", "b", "", b"", b""))
        bad = [
            [b"request"],
            [b"", b""],
            [b"refused", b"other_store"],
            [*good, b"more"],
            [good[0], good[1], good[2][:-1]],
            [good[0], good[1], b"\x91" * 100_000],
            [good[0], good[1], b"\x95\xa5store\xc4\x01\xff\xa0\xc4\x00\xc4\x00"],
        ]
        for frames in bad:
            with raw_peer(a.peers.port.endpoint) as peer:
                shake_hands(peer, a).send(message(*frames))
                until(lambda: sum(a.peers.port.refused.values()), a)
                assert set(a.peers.port.refused) == {"no_greeting"}
                a.peers.port.refused.clear()
                assert peer.is_cut_off()
        assert a.heard == []
        assert a.peers.send("b", b"still there")
        until(lambda: b.has("request", b"still there"), a, b)

    @pytest.mark.parametrize(
        "opening",
        [b"\x01\x00", b"\xff" + bytes(8) + b"\x7f\x01\x05\x00\x00", b"\xff" + bytes(8) + b"\x7f\x00\x05\x00\x00"],
        ids=["ZMTP 1", "ZMTP 2", "ZMTP 2 of another revision"],
    )
    def test_who_speaks_an_older_zmtp_is_not_let_in(self, start: Start, opening: bytes) -> None:
        a = start("a")
        with raw_peer(a.peers.port.endpoint) as peer:
            peer.send(opening + b"\x00\x05hello" * 10)
            peer.tcp.settimeout(0.01)
            until(lambda: is_ended(peer), a)
        assert not a.peers.port.refused

    def test_what_is_left_of_a_connection_does_no_harm_to_the_next_one(self, start: Start) -> None:
        a, b = start("a"), start("b")
        a.follow(b)
        hello = message(*greeting(Hello("store", "b", "", b"", b"")))
        with raw_peer(a.peers.port.endpoint) as first:
            shake_hands(first, a).send(message(b"left behind") * 500)
            until(lambda: a.peers.port.refused["no_greeting"], a)
        with raw_peer(a.peers.port.endpoint) as second:  # which may get the descriptor of the first
            shake_hands(second, a).send(hello)
            until(lambda: a.peers.port._routing_ids, a)
            second.send(message(b"heard"))
            until(lambda: a.has("request", b"heard"), a)

    def test_what_is_left_of_a_connection_is_laid_to_no_other(
        self, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        a, b = start("a"), start("b")
        a.follow(b)
        looked_at: list[Connection] = []

        def look(frame: zmq.Frame) -> Connection:
            looked_at.append(connection_of(frame))
            return looked_at[-1]

        monkeypatch.setattr(peer_port, "connection_of", look)
        with raw_peer(a.peers.port.endpoint) as peer:
            shake_hands(peer, a).send(message(b"left behind") * 500)
            until(lambda: a.peers.port.refused["no_greeting"] > 1, a)
        assert len(looked_at) < a.peers.port.refused["no_greeting"]

    def test_who_names_itself_is_not_met(self, start: Start) -> None:
        a, b = start("a"), start("b")
        a.follow(b)
        with raw_peer(a.peers.port.endpoint) as peer:
            shake_hands(peer, a, Identity=b"chosen").send(message(*greeting(Hello("store", "b", "", b"", b""))))
            until(lambda: a.peers.port.refused["no_greeting"], a)
            assert peer.is_cut_off()

    def test_a_flood_is_taken_in_parts_and_cut(self, start: Start) -> None:
        a, b = start("a"), start("b")
        meet(a, b)
        with raw_peer(a.peers.port.endpoint) as peer:
            shake_hands(peer, a)
            peer.tcp.settimeout(0.2)  # the kernel drops what is sent after the cut, until its queue is full
            end_s = time.monotonic() + LIMIT_S
            with suppress(OSError):
                while time.monotonic() < end_s:
                    peer.send(message(b"flood") * 1000)
                    a.turn()
            assert time.monotonic() < end_s
            assert a.peers.send("b", b"still there")
            until(lambda: b.has("request", b"still there"), a, b)
        assert a.heard == []

    @pytest.mark.usefixtures("impatient")
    def test_who_says_nothing_is_cut_and_only_so_many_are_there_at_once(
        self, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(peer_port, "PEERS_UNGREETED", 3)
        a, b = start("a"), start("b")
        meet(a, b)
        with ExitStack() as stack:
            peers = [shake_hands(stack.enter_context(raw_peer(a.peers.port.endpoint)), a) for _ in range(5)]
            until(lambda: len(a.peers.port._newcomers) == 3, a)
            assert [peer.is_cut_off() for peer in peers[:2]] == [True, True]
            until(lambda: not a.peers.port._newcomers, a, b)
        assert not a.heard

    def test_a_second_connection_of_a_server_takes_the_place_of_the_first(self, start: Start) -> None:
        a, b = start("a"), start("b")
        a.follow(b)
        hello = message(*greeting(Hello("store", "b", "", b"", b"")))
        with raw_peer(a.peers.port.endpoint) as first, raw_peer(a.peers.port.endpoint) as second:
            shake_hands(first, a).send(hello)
            until(lambda: a.peers.port._routing_ids, a)
            shake_hands(second, a).send(hello + message(b"second"))
            until(lambda: a.has("request", b"second"), a)
            assert first.is_cut_off()
            assert len(a.peers.port._visitors) == 1
        asked = [one for one in a.heard if one.kind in ("left", "request")]
        assert asked == [Incoming("b", "left"), Incoming("b", "request", b"second")]

    def test_who_is_cut_with_all_others_has_left(self, start: Start) -> None:
        a, b = start("a"), start("b")
        meet(a, b)
        a.peers.port.reopen()
        until(lambda: a.has("left"), a)
        assert not a.has("broken")


class TestBounds:
    @pytest.fixture
    def small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(peer_link, "PEER_QUEUED_BYTES", MIB)
        monkeypatch.setattr(backlog, "PEER_BACKLOG_BYTES", MIB)

    @pytest.mark.usefixtures("small")
    def test_a_server_that_does_not_read_gets_no_more_requests(self, start: Start) -> None:
        a, b = start("a"), start("b")
        with Proxy(b.peers.port.endpoint) as proxy:
            a.peers.follow({"b": proxy.endpoint})
            b.follow(a)
            until(lambda: a.has("connected"), a, b)
            proxy.hold()
            sent = next(number for number in range(200) if not a.peers.send("b", bytes(MIB // 4)))
            assert sent < 100
            proxy.resume()
            until(lambda: len(b.bodies("request")) == sent, b)
            until(lambda: a.peers.send("b", b"again"), a, b)

    @pytest.mark.usefixtures("small")
    def test_one_that_does_not_read_replies_is_cut(self, start: Start) -> None:
        a, b = start("a"), start("b")
        a.follow(b)
        with raw_peer(a.peers.port.endpoint) as peer:
            shake_hands(peer, a).send(message(*greeting(Hello("store", "b", "", b"", b""))))
            until(lambda: a.peers.port._routing_ids, a)
            sent = next(number for number in range(200) if not a.peers.reply("b", bytes(MIB // 4)))
            assert sent < 100
            assert peer.is_cut_off()
            assert not a.peers.reply("b", b"gone")

    def test_what_is_too_large_is_not_sent_and_breaks_the_connection_where_it_is_all_the_same(
        self, start: Start
    ) -> None:
        a, b = start("a", most_bytes=2 * MIB), start("b", most_bytes=MIB)
        meet(a, b)
        assert not a.peers.send("b", bytes(2 * MIB + 1))
        assert a.peers.send("b", bytes(MIB))
        until(lambda: b.has("request"), a, b)
        assert not b.peers.reply("a", bytes(MIB + 1))
        assert a.peers.send("b", bytes(MIB + 1))
        until(lambda: a.has("broken"), a, b)
        assert b.bodies("request") == [bytes(MIB)]
