"""What one peer can make a server hold in memory."""

import json
import threading

import pytest

from drivers.memory import MIB, resident_bytes
from drivers.peers import request, requester
from drivers.raw_zmtp import message, raw_peer
from drivers.server_process import ServerProcess
from timer_server.limits import PEER_BACKLOG_BYTES

MESSAGES = 150
PAGES = 100
TIMERS = 64
PAYLOAD = "x" * 60_000

pytestmark = pytest.mark.alone


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
