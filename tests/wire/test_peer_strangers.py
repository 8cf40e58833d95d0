"""Strangers where servers connect: who sends no greeting, too much or nothing is cut, and disturbs no other server."""

import time
from contextlib import ExitStack, suppress

import pytest
import zmq

from drivers.raw_zmtp import RawPeer, message, raw_peer
from timer_server.wire import peer_port
from timer_server.wire.connections import Connection, connection_of
from timer_server.wire.peer_greeting import Hello, greeting
from timer_server.wire.peers import Incoming
from wire.peer_servers import LIMIT_S, Start, meet, shake_hands, until


def is_ended(peer: RawPeer) -> bool:
    """Whether the other side has ended a connection, as far as that can be known by now."""
    try:
        return not peer.tcp.recv(1000)
    except TimeoutError:
        return False
    except OSError:
        return True


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
