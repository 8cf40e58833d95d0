"""What a key that is bound to a prefix may touch, list and hear."""

import json
from collections.abc import Iterator

import pytest
import zmq

from drivers.peers import Requester, is_silent, request, socket_to
from keys import KeyRing, calls, client, hearing, next_topic
from local_server import LocalServer
from timer_client import AccessDenied, NotPermitted


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
            for method, params in (("start", {"hours": 1}), ("get", {}), ("cancel", {})):
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
