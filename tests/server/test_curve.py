"""Encryption on: who gets in, how keys change while the server runs, and what is refused at its start."""

from contextlib import suppress
from itertools import islice
from pathlib import Path

import pytest
import zmq

from drivers.peers import is_silent, request, socket_to
from keys import KeyRing, calls, client, hearing, next_topic
from local_server import LocalServer
from timer_client import AccessDenied, NotPermitted, ServerUnreachable, Settings, TimerClient
from timer_protocol.key_pairs import KeyFileError


class TestWhoGetsIn:
    def test_a_known_key(self, locked: LocalServer, ring: KeyRing) -> None:
        with client(locked, ring, "admin") as timers:
            timers.start(seconds=0.1, id="a")
            assert timers.wait("a", 5).state == "fired"
            assert [event.kind for event in islice(timers.events("a", after="start"), 2)] == ["started", "fired"]

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
                with suppress(zmq.Again):  # it was refused before it could send
                    socket.send_json(request("server.info", 1), zmq.DONTWAIT)
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
            events = timers.events("shop/", after="start")
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

    def test_a_folder_that_is_gone_changes_nothing(self, locked: LocalServer, ring: KeyRing) -> None:
        ring.files.clients.rename(ring.folder / "elsewhere")
        locked.reload()
        reason = locked.wait_for_log("keys not read; the ones before stay in force")["reason"]
        assert f"cannot read {ring.files.clients}: No such file or directory" in reason
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
