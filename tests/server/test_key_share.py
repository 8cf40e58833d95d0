"""The share of a key in `max_timers`: how many timers may be pending below the prefix that it is bound to."""

from pathlib import Path
from typing import Any

import pytest
import zmq

from drivers.peers import Requester, socket_to
from keys import KeyRing, calls
from local_server import LocalServer


@pytest.fixture
def ring(ring: KeyRing) -> KeyRing:
    """With two clients of `shop/`, which may have two timers together, and one of `bank/`."""
    ring.bind("shop", "shop/", max_timers=2)
    ring.add("shop2", "shop/")
    ring.add("bank", "bank/")
    return ring


def assert_refused(error: dict[str, Any], pending: int, maximum: int) -> None:
    """Checks the error that a start beyond the share gets."""
    told = {"name": "limit_reached", "retryable": False, "limit": "max_timers", "maximum": maximum}
    are = "timer is" if pending == 1 else "timers are"
    reason = f"{pending} {are} pending below 'shop/', and max_timers of its key is {maximum}"
    assert error["code"] == -32004
    assert error["data"] == {**told, "scope": "key", "later": True, "reason": reason}


def fill(shop: Requester) -> None:
    """Starts what the share allows."""
    for timer_id in ("shop/1", "shop/2"):
        shop.call("timer.start", id=timer_id, hours=1)


def test_every_way_to_start_is_bounded_and_others_are_not_touched(locked: LocalServer, ring: KeyRing) -> None:
    with (
        calls(locked, ring, "shop") as shop,
        calls(locked, ring, "shop2") as second,
        calls(locked, ring, "bank") as bank,
        calls(locked, ring, "admin") as admin,
    ):
        fill(shop)
        for rpc in (shop, second, admin):
            assert_refused(rpc.error("timer.start", id="shop/3", hours=1), 2, 2)
        assert_refused(shop.error("timer.start", hours=1), 2, 2)
        assert shop.call("timer.start", id="shop/1", hours=1)["version"] == 1  # a repeat finds the first one
        for timer_id in ("bank/1", "bank/2", "bank/3"):
            bank.call("timer.start", id=timer_id, hours=1)

        second.call("timer.pause", id="shop/1")
        assert_refused(shop.error("timer.start", id="shop/3", hours=1), 2, 2)
        second.call("timer.cancel", id="shop/1")
        many = shop.call("timer.start_many", ids=["shop/2", "shop/3", "shop/4"], seconds=3600)
        assert (many["started"], [row["index"] for row in many["refused"]]) == (1, [0, 2])
        assert_refused(many["refused"][1]["error"], 2, 2)
        assert_refused(shop.error("timer.restart", id="shop/1"), 2, 2)
        again = {"action": "restart", "ids": ["shop/1"], "states": ["cancelled"], "key": "k"}
        for is_dry in (True, False):
            page = shop.call("timer.change_many", **again, dry_run=is_dry)
            assert_refused(page["refused"][0]["error"], 2, 2)


def test_the_dialogue_says_so_in_words(locked: LocalServer, ring: KeyRing) -> None:
    with calls(locked, ring, "shop") as shop, socket_to(zmq.REQ, locked.commands, **ring.options("shop")) as socket:
        fill(shop)
        socket.send_multipart([b"1", b"0", b"0"])
        assert socket.recv_multipart() == [b"error: 2 timers are pending below 'shop/', and max_timers of its key is 2"]


def test_keys_that_are_read_again_bound_what_comes_then(locked: LocalServer, ring: KeyRing) -> None:
    with calls(locked, ring, "shop") as shop:
        fill(shop)
        for maximum in (1, 3):
            ring.bind("shop", "shop/", max_timers=maximum)
            locked.reload()
            assert locked.wait_for_log("keys read")["limited"] == 1
            if maximum == 1:
                assert_refused(shop.error("timer.start", id="shop/3", hours=1), 2, 1)
        assert shop.call("timer.start", id="shop/3", hours=1)["state"] == "running"  # over the same connection
        assert_refused(shop.error("timer.start", id="shop/4", hours=1), 3, 3)


def test_what_is_held_counts_after_a_restart(ring: KeyRing, tmp_path: Path) -> None:
    settings = {"curve": ring.files, "store_path": tmp_path / "timers.db"}
    with LocalServer(**settings) as server, calls(server, ring, "shop") as shop:
        fill(shop)
        shop.call("timer.cancel", id="shop/1")
        shop.call("timer.start", id="shop/3", hours=1)
    with LocalServer(**settings) as server, calls(server, ring, "shop") as shop:
        assert_refused(shop.error("timer.start", id="shop/4", hours=1), 2, 2)
        shop.call("timer.cancel", id="shop/2")
        assert shop.call("timer.start", id="shop/4", hours=1)["state"] == "running"
