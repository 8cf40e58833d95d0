"""Encryption on: who gets in, what a key that is bound to a prefix may touch, list and hear, and how keys change."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import zmq

from keys import KeyRing
from local_server import LocalServer
from peers import Requester, is_silent, request, socket_to
from timer_client import AccessDenied, NotPermitted, ServerUnreachable, Settings, TimerClient
from timer_server.runtime.keys import KeyFileError


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    """A server's keys, a client without bounds and one that is bound to `shop/`."""
    keys = KeyRing(tmp_path)
    keys.add("admin")
    keys.add("shop", "shop/")
    return keys


@pytest.fixture
def locked(ring: KeyRing) -> Iterator[LocalServer]:
    """A server that speaks CURVE only."""
    with LocalServer(curve=ring.files) as server:
        yield server


@contextmanager
def calls(server: LocalServer, ring: KeyRing, name: str) -> Iterator[Requester]:
    """Calls methods with a client's keys."""
    with socket_to(zmq.REQ, server.commands, **ring.options(name)) as socket:
        yield Requester(socket)


@contextmanager
def hearing(server: LocalServer, ring: KeyRing, name: str, *topics: bytes) -> Iterator[zmq.Socket[bytes]]:
    """A subscriber with a client's keys that is known to be connected, as it has heard a beat."""
    with socket_to(zmq.SUB, server.events, **ring.options(name)) as socket:
        for topic in (*topics, b"~beat"):
            socket.subscribe(topic)
        while socket.recv_multipart()[0] != b"~beat":
            pass
        yield socket


def client(server: LocalServer, ring: KeyRing, name: str, **settings: Any) -> TimerClient:
    return TimerClient(settings=ring.settings(name, server=server.commands, events=server.events, **settings))


def next_topic(socket: zmq.Socket[bytes]) -> str:
    """The topic of the next event, beats aside."""
    while (topic := socket.recv_multipart()[0]) == b"~beat":
        pass
    return topic.decode()


class TestWhoGetsIn:
    def test_a_known_key(self, locked: LocalServer, ring: KeyRing) -> None:
        with client(locked, ring, "admin") as timers:
            timers.start(seconds=0.1, id="a")
            assert timers.wait("a", 5).state == "fired"
            assert [event.kind for event in islice(timers.events("a", after=0), 2)] == ["started", "fired"]

    def test_an_unknown_key_is_told_so_at_once(self, locked: LocalServer, ring: KeyRing) -> None:
        ring.add("late")  # the server has read its folder before
        with (
            client(locked, ring, "late") as timers,
            pytest.raises(AccessDenied, match="does not know this client's key"),
        ):
            timers.info()

    def test_plain_text_is_told_to_bring_a_key(self, locked: LocalServer) -> None:
        plain = Settings(server=locked.commands, events=locked.events, retry_deadline_s=3)
        with (
            TimerClient(settings=plain) as timers,
            # Where the server closes the connection first, ZeroMQ cannot tell more than that it has failed.
            pytest.raises((AccessDenied, ServerUnreachable), match=r"wants CURVE keys.*TIMER_CURVE_CLIENT_SECRET"),
        ):
            timers.info()

    def test_a_key_for_a_server_without_encryption_is_told_so(self, server: LocalServer, ring: KeyRing) -> None:
        with (
            client(server, ring, "admin", retry_deadline_s=3) as timers,
            pytest.raises((AccessDenied, ServerUnreachable), match=r"does not use CURVE|or none"),
        ):
            timers.info()

    def test_a_wrong_server_key_gets_nothing(self, locked: LocalServer, ring: KeyRing, tmp_path: Path) -> None:
        other = KeyRing(tmp_path / "other")
        settings = {"curve_server_public": str(other.folder / "server.key"), "retry_deadline_s": 3}
        with client(locked, ring, "admin", **settings) as timers, pytest.raises(ServerUnreachable, match="another key"):
            timers.info()

    @pytest.mark.parametrize("kind", [zmq.REQ, zmq.DEALER])
    def test_plain_sockets_without_a_known_key_hear_nothing(
        self, locked: LocalServer, ring: KeyRing, kind: int
    ) -> None:
        ring.add("late")
        for options in ({}, ring.options("late")):
            with socket_to(kind, locked.commands, **options) as socket:
                socket.send_json(request("server.info", 1))
                assert is_silent(socket)

    def test_a_plain_subscriber_hears_not_even_a_beat(self, locked: LocalServer) -> None:
        with socket_to(zmq.SUB, locked.events, rcvtimeo=1500) as socket:
            socket.subscribe(b"")
            with pytest.raises(zmq.Again):
                socket.recv_multipart()

    def test_those_who_are_refused_are_counted_in_the_log(self, locked: LocalServer, ring: KeyRing) -> None:
        ring.add("late")
        with client(locked, ring, "late") as timers, pytest.raises(AccessDenied):
            timers.info()
        assert locked.wait_for_log("connections refused: their keys are not allowed")["count"] == 1

    def test_the_others_are_served_meanwhile(self, locked: LocalServer, ring: KeyRing) -> None:
        with calls(locked, ring, "admin") as rpc:
            for _ in range(20):
                with socket_to(zmq.DEALER, locked.commands) as plain:
                    plain.send(b"{}")
                    assert rpc.call("timer.start", hours=1)["state"] == "running"


class TestBoundToAPrefix:
    @pytest.fixture
    def admin(self, locked: LocalServer, ring: KeyRing) -> Iterator[Requester]:
        with calls(locked, ring, "admin") as rpc:
            yield rpc

    @pytest.fixture
    def shop(self, locked: LocalServer, ring: KeyRing) -> Iterator[Requester]:
        with calls(locked, ring, "shop") as rpc:
            yield rpc

    def test_its_own_timers_are_its_own(self, shop: Requester) -> None:
        shop.call("timer.start", id="shop/1", hours=1)
        for method in ("get", "pause", "resume", "restart", "cancel"):
            assert shop.call(f"timer.{method}", id="shop/1")["id"] == "shop/1"

    def test_those_of_others_are_refused_whether_they_exist_or_not(self, shop: Requester, admin: Requester) -> None:
        admin.call("timer.start", id="bank/1", hours=1)
        for timer_id in ("bank/1", "bank/2", "sho", "SHOP/1"):
            for method, params in (
                ("start", {"hours": 1}),
                ("get", {}),
                ("pause", {}),
                ("resume", {}),
                ("cancel", {}),
                ("extend", {"hours": 1}),
                ("restart", {}),
                ("wait", {"wait_ms": 1}),
            ):
                error = shop.error(f"timer.{method}", id=timer_id, **params)
                assert (error["code"], error["data"]["name"]) == (-32007, "not_permitted")
                assert error["data"]["prefix"] == "shop/"
        assert admin.call("timer.get", id="bank/1")["version"] == 1
        assert admin.call("server.info")["counts"]["running"] == 1

    def test_a_notification_about_others_has_no_effect(
        self, locked: LocalServer, ring: KeyRing, admin: Requester
    ) -> None:
        admin.call("timer.start", id="bank/1", hours=1)
        with socket_to(zmq.DEALER, locked.commands, **ring.options("shop")) as socket:
            socket.send_json([request("timer.cancel", id="bank/1"), request("timer.start", 1, id="shop/1", hours=1)])
            assert json.loads(socket.recv())[0]["result"]["id"] == "shop/1"
        assert admin.call("timer.get", id="bank/1")["state"] == "running"

    def test_a_timer_without_an_id_gets_one_under_the_prefix(self, shop: Requester) -> None:
        assert shop.call("timer.start", hours=1)["id"].startswith("shop/")

    def test_so_does_one_of_the_plain_dialogue(self, locked: LocalServer, ring: KeyRing, admin: Requester) -> None:
        with socket_to(zmq.REQ, locked.commands, **ring.options("shop")) as socket:
            socket.send_multipart([b"1", b"0", b"0"])
            assert socket.recv_multipart() == [b"1", b"0", b"0"]
        (timer,) = admin.call("timer.list")["timers"]
        assert timer["id"].startswith("shop/")

    @pytest.mark.parametrize("prefix", ["", "s", "shop/", "shop/1"])
    def test_a_list_holds_what_lies_under_it(self, shop: Requester, admin: Requester, prefix: str) -> None:
        for timer_id in ("bank/1", "shop/1", "shops/1", "zoo"):
            admin.call("timer.start", id=timer_id, hours=1)
        page = shop.call("timer.list", prefix=prefix)
        assert [timer["id"] for timer in page["timers"]] == ["shop/1"]
        events = shop.call("events.read", after=0, prefix=prefix)["events"]
        assert [event["timer"]["id"] for event in events] == ["shop/1"]

    @pytest.mark.parametrize("method", ["timer.list", "events.read"])
    def test_a_list_of_others_is_refused(self, shop: Requester, method: str) -> None:
        params = {"after": 0} if method == "events.read" else {}
        assert shop.error(method, prefix="bank/", **params)["data"]["name"] == "not_permitted"

    def test_a_parked_read_is_woken_by_its_own_events_only(
        self, locked: LocalServer, ring: KeyRing, admin: Requester
    ) -> None:
        with socket_to(zmq.DEALER, locked.commands, **ring.options("shop")) as socket:
            socket.send_json(request("events.read", 1, after=0, wait_ms=10_000))
            socket.send_json(request("server.info", 2))
            assert json.loads(socket.recv())["id"] == 2
            admin.call("timer.start", id="bank/1", hours=1)
            assert is_silent(socket)
            admin.call("timer.start", id="shop/1", hours=1)
            (event,) = json.loads(socket.recv())["result"]["events"]
            assert event["timer"]["id"] == "shop/1"

    @pytest.mark.parametrize("topic", [b"", b"s", b"shop/", b"shop/1"])
    def test_a_subscriber_hears_what_lies_under_it(
        self, locked: LocalServer, ring: KeyRing, admin: Requester, topic: bytes
    ) -> None:
        with hearing(locked, ring, "shop", topic) as socket:
            for timer_id in ("bank/1", "shops/1", "shop/1"):
                admin.call("timer.start", id=timer_id, hours=1)
            assert next_topic(socket) == "shop/1 started"

    @pytest.mark.parametrize("topic", [b"bank/", b"~", b"shop", b"shops/"])
    def test_a_subscriber_to_others_hears_nothing_of_them(
        self, locked: LocalServer, ring: KeyRing, admin: Requester, topic: bytes
    ) -> None:
        with hearing(locked, ring, "shop", topic) as socket, hearing(locked, ring, "admin", b"") as witness:
            for timer_id in ("bank/1", "shops/1"):
                admin.call("timer.start", id=timer_id, hours=1)
                assert next_topic(witness) == f"{timer_id} started"
            while socket.poll(100):
                assert socket.recv_multipart()[0] == b"~beat"

    def test_unsubscribing_ends_it(self, locked: LocalServer, ring: KeyRing, admin: Requester) -> None:
        with hearing(locked, ring, "shop", b"", b"shop/1 ") as socket:
            socket.unsubscribe(b"")
            with hearing(locked, ring, "shop", b"shop/2"):  # two beats later the server has heard of it
                pass
            admin.call("timer.start", id="shop/2", hours=1)
            admin.call("timer.start", id="shop/1", hours=1)
            assert next_topic(socket) == "shop/1 started"

    def test_unsubscribing_from_one_topic_leaves_the_others(
        self, locked: LocalServer, ring: KeyRing, admin: Requester
    ) -> None:
        with socket_to(zmq.XSUB, locked.events, **ring.options("shop")) as socket:
            for topic in (b"\x01", b"\x01shop/", b"\x01~beat", b"\x00"):
                socket.send(topic)
            while socket.recv_multipart()[0] != b"~beat":
                pass
            admin.call("timer.start", id="shop/1", hours=1)
            assert next_topic(socket) == "shop/1 started"

    def test_what_is_no_subscription_suspends_its_key(self, locked: LocalServer, ring: KeyRing) -> None:
        """Frames of other kinds make libzmq take one subscriber for another."""
        with (
            client(locked, ring, "admin") as timers,
            hearing(locked, ring, "admin", b"") as honest,
            hearing(locked, ring, "shop", b"") as eavesdropper,
            socket_to(zmq.XSUB, locked.events, **ring.options("shop")) as socket,
        ):
            socket.send(b"X")
            locked.wait_for_log("a key is suspended until keys are read again")
            timers.start(hours=1, id="shop/1")
            while honest.poll(0):  # what was sent before all were cut off
                honest.recv_multipart()
            while honest.recv_multipart()[0] != b"~beat":  # it is back
                pass
            timers.cancel("shop/1")
            assert next_topic(honest) == "shop/1 cancelled"
            eavesdropper.rcvtimeo = 300
            with pytest.raises(zmq.Again):
                eavesdropper.recv_multipart()
        with client(locked, ring, "shop") as timers, pytest.raises(AccessDenied):
            timers.info()
        locked.reload()
        locked.wait_for_log("keys read")
        with calls(locked, ring, "shop") as rpc:
            assert rpc.call("timer.start", hours=1)["id"].startswith("shop/")

    def test_a_socket_that_names_itself_is_refused(self, locked: LocalServer, ring: KeyRing, admin: Requester) -> None:
        """Otherwise another could take up the name, and get replies that were meant for the first."""
        admin.call("timer.start", id="bank/1", hours=1)
        for name in ("admin", "shop"):
            with socket_to(zmq.REQ, locked.commands, routing_id=b"worker", **ring.options(name)) as socket:
                error = Requester(socket).error("timer.wait", id="bank/1", wait_ms=60_000)
                assert error["data"]["name"] == "not_permitted"
                assert "ZMQ_ROUTING_ID" in error["data"]["reason"]
        with socket_to(zmq.REQ, locked.commands, routing_id=b"worker", **ring.options("admin")) as socket:
            socket.send(b"7")
            assert socket.recv().startswith(b"error: ")

    def test_the_library_makes_ids_below_the_prefix_it_is_told(self, locked: LocalServer, ring: KeyRing) -> None:
        with client(locked, ring, "shop", id_prefix="shop/") as timers:
            assert timers.start(hours=1, payload={"a": 1.5}).id.startswith("shop/")
            assert timers.start(hours=1, id="shop/named").id == "shop/named"
            assert timers.get("shop/named").payload is None

    def test_the_library_says_what_is_permitted(self, locked: LocalServer, ring: KeyRing) -> None:
        with client(locked, ring, "shop") as timers, pytest.raises(NotPermitted, match="shop/") as refused:
            timers.get("bank/1")
        assert refused.value.data["prefix"] == "shop/"
        assert not refused.value.retryable


class TestReload:
    def test_a_new_key_is_let_in(self, locked: LocalServer, ring: KeyRing) -> None:
        ring.add("late")
        locked.reload()
        assert locked.wait_for_log("keys read")["clients"] == 3
        with calls(locked, ring, "late") as rpc:
            assert rpc.call("timer.start", hours=1)["state"] == "running"

    def test_a_key_that_is_taken_away_is_cut_off_and_the_others_come_back(
        self, locked: LocalServer, ring: KeyRing
    ) -> None:
        with (
            client(locked, ring, "shop") as gone,
            client(locked, ring, "admin") as stays,
            hearing(locked, ring, "shop", b"") as eavesdropper,
        ):
            gone.start(hours=1, id="shop/1")
            assert next_topic(eavesdropper) == "shop/1 started"
            stays.start(hours=1, id="shop/2")
            assert next_topic(eavesdropper) == "shop/2 started"
            ring.remove("shop")
            locked.reload()
            locked.wait_for_log("all connections are cut and may be made anew")
            stays.cancel("shop/2")
            with pytest.raises(AccessDenied):
                gone.get("shop/1")
            eavesdropper.rcvtimeo = 1500  # it would have heard a beat
            heard = [eavesdropper.recv_multipart()[0] for _ in range(eavesdropper.poll(0))]
            assert set(heard) <= {b"~beat"}
            with pytest.raises(zmq.Again):
                eavesdropper.recv_multipart()

    def test_a_watcher_who_stays_misses_nothing(self, locked: LocalServer, ring: KeyRing) -> None:
        with client(locked, ring, "admin") as timers:
            events = timers.events("shop/", after=0)
            timers.start(hours=1, id="shop/1")
            assert next(events).kind == "started"
            ring.remove("shop")
            locked.reload()
            locked.wait_for_log("all connections are cut and may be made anew")
            timers.pause("shop/1")
            timers.cancel("shop/1")
            assert [next(events).kind, next(events).kind] == ["paused", "cancelled"]

    def test_a_wait_goes_on_after_connections_were_cut(self, locked: LocalServer, ring: KeyRing) -> None:
        with client(locked, ring, "admin") as timers, calls(locked, ring, "admin") as rpc:
            rpc.call("timer.start", id="a", seconds=2)
            ring.remove("shop")
            locked.reload()
            assert timers.wait("a", 10).state == "fired"

    def test_a_narrower_prefix_holds_at_once(self, locked: LocalServer, ring: KeyRing) -> None:
        with client(locked, ring, "shop") as timers:
            timers.start(hours=1, id="shop/1")
            ring.bind("shop", "shop/2")
            locked.reload()
            locked.wait_for_log("all connections are cut and may be made anew")
            with pytest.raises(NotPermitted):
                timers.get("shop/1")

    def test_a_broken_file_changes_nothing(self, locked: LocalServer, ring: KeyRing) -> None:
        (ring.files.clients / "broken.key").write_text("curve\n")
        locked.reload()
        assert "broken.key" in locked.wait_for_log("keys not read; the ones before stay in force")["reason"]
        with calls(locked, ring, "shop") as rpc:
            assert rpc.call("timer.start", hours=1)["id"].startswith("shop/")

    def test_without_encryption_there_is_nothing_to_reload(self, server: LocalServer) -> None:
        server.reload()
        server.wait_for_log("nothing to reload: encryption is off")


class TestAtStart:
    def test_a_missing_file_is_named(self, ring: KeyRing) -> None:
        ring.files.secret.unlink()
        with pytest.raises(KeyFileError, match=r"server\.key_secret"):
            LocalServer(curve=ring.files).serve_here()

    def test_two_files_with_one_key_are_refused(self, ring: KeyRing) -> None:
        (ring.files.clients / "twin.key").write_text((ring.files.clients / "shop.key").read_text())
        with pytest.raises(KeyFileError, match=r"twin\.key has the same key as shop\.key"):
            LocalServer(curve=ring.files).serve_here()

    def test_a_secret_key_has_no_place_among_those_of_clients(self, ring: KeyRing) -> None:
        (ring.files.clients / "leak.key").write_text((ring.folder / "shop.key_secret").read_text())
        with pytest.raises(KeyFileError, match=r"leak\.key holds a secret key"):
            LocalServer(curve=ring.files).serve_here()

    def test_two_halves_that_do_not_match_are_refused(self, ring: KeyRing) -> None:
        other = (ring.folder / "shop.key_secret").read_text()
        public = next(line for line in other.splitlines() if "public-key" in line)
        own = ring.files.secret.read_text()
        old = next(line for line in own.splitlines() if "public-key" in line)
        ring.files.secret.write_text(own.replace(old, public))
        with pytest.raises(KeyFileError, match="are not a pair"):
            LocalServer(curve=ring.files).serve_here()

    def test_an_editors_file_is_no_key(self, ring: KeyRing) -> None:
        (ring.files.clients / ".#shop.key").symlink_to("nowhere")
        with LocalServer(curve=ring.files) as server, calls(server, ring, "shop") as rpc:
            assert rpc.call("timer.list")["timers"] == []

    def test_a_public_file_is_no_pair(self, ring: KeyRing) -> None:
        with pytest.raises(KeyFileError, match="has no secret-key"):
            LocalServer(curve=ring.files._replace(secret=ring.folder / "server.key")).serve_here()
