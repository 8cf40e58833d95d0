"""Bounds of what waits for another server and of what is sent to it."""

import pytest

from campaigns.proxy import Proxy
from drivers.raw_zmtp import message, raw_peer
from timer_server.wire import backlog, peer_link
from timer_server.wire.peer_greeting import Hello, greeting
from wire.peer_servers import MIB, Start, meet, shake_hands, until


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
