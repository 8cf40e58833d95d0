"""What one peer can make a server hold in memory."""

import json
import threading
from contextlib import suppress
from pathlib import Path

import pytest
import zmq

from drivers.memory import MIB, resident_bytes
from drivers.peers import request, requester, socket_to
from drivers.raw_zmtp import message, raw_peer
from drivers.server_process import ServerProcess
from keys import KeyRing
from timer_server.limits import PEER_BACKLOG_BYTES

MESSAGES = 150
PAGES = 100
TIMERS = 64
PAYLOAD = "x" * 60_000


def test_a_peer_that_asks_for_large_pages_and_never_reads(server_process: ServerProcess) -> None:
    with requester(server_process.commands) as rpc, raw_peer(server_process.commands) as deaf:
        for number in range(TIMERS):
            rpc.call("timer.start", id=f"large/{number}", hours=1, payload=PAYLOAD)
        page = len(json.dumps(rpc.call("timer.list")))
        before = resident_bytes(server_process.pid)
        ask = message(json.dumps(request("timer.list", 1)).encode())
        last = message(json.dumps(request("timer.start", 2, id="last", hours=1)).encode())
        deaf.shake_hands(b"DEALER").send(ask * PAGES + last)
        while rpc.response("timer.get", id="last").get("result") is None:
            assert resident_bytes(server_process.pid) - before < PEER_BACKLOG_BYTES + 4 * page + 32 * MIB
        assert PAGES * page > 8 * PEER_BACKLOG_BYTES
        assert resident_bytes(server_process.pid) - before < PEER_BACKLOG_BYTES + 4 * page + 32 * MIB


def test_others_are_served_beside_a_peer_that_sends_faster_than_it_is_served(server_process: ServerProcess) -> None:
    with requester(server_process.commands) as rpc, raw_peer(server_process.commands) as fast:
        for first in range(0, 10_000, 1000):
            starts = [request("timer.start", number, id=f"t/{first + number}", hours=1) for number in range(1000)]
            rpc.batch(starts)
        slow = [request("timer.list", number, state="fired") for number in range(2)]
        ask = message(json.dumps(slow).encode().ljust(1_000_000))
        fast.shake_hands(b"DEALER")
        sending = threading.Thread(target=fast.send, args=(ask * MESSAGES,))
        sending.start()
        served = 0
        while sending.is_alive() or not served:
            rpc.call("server.info")
            served += 1
        sending.join()


@pytest.mark.parametrize("has_keys", [True, pytest.param(False, marks=pytest.mark.thorough)])
def test_subscriptions_taken_back_without_end(tmp_path: Path, has_keys: bool) -> None:
    """With keys, the peer's is bound to a prefix."""
    ring = KeyRing(tmp_path / "keys")
    ring.add("shop", "shop/")
    settings = {"TIMER_CURVE_SERVER_SECRET": str(ring.files.secret)} if has_keys else {}
    options = ring.options("shop") if has_keys else {}
    with (
        ServerProcess(tmp_path, settings) as server,
        socket_to(zmq.XSUB, server.events, sndhwm=1000, **options) as peer,
        peer.get_monitor_socket(zmq.EVENT_DISCONNECTED) as cut,
    ):
        before = resident_bytes(server.pid)
        for number in range(500_000):
            with suppress(zmq.Again):  # between being cut off and coming back
                peer.send(b"\x01shop/%0100d" % number)
                peer.send(b"\x00shop/%0100d" % number)
            if cut.poll(0):
                break
        assert resident_bytes(server.pid) - before < 32 * MIB
