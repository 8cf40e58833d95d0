"""What a process may use up: its descriptors, and the routing ids of its peers."""

import resource
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from drivers.peers import requester
from drivers.raw_zmtp import raw_peer
from drivers.server_process import SERVICES, ServerProcess

FEW = 64

pytestmark = pytest.mark.alone

FIRST_ROUTING_ID = """
import zmq
from timer_server.wire.routing_ids import begin_anywhere

begin_anywhere()
with zmq.Context() as context, context.socket(zmq.ROUTER) as router, context.socket(zmq.DEALER) as dealer:
    router.bind("inproc://router")
    dealer.connect("inproc://router")
    dealer.send(b"")
    print(router.recv().hex())
"""


def test_the_server_gives_itself_all_descriptors_it_may_have(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
    try:
        with ServerProcess(tmp_path) as server:
            assert resource.prlimit(server.pid, resource.RLIMIT_NOFILE) == (hard, hard)
            assert next(line for line in server.lines if line["event"] == "listening")["descriptors"] == hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_where_descriptors_run_out_those_who_are_connected_are_served(server_process: ServerProcess) -> None:
    with requester(server_process.commands) as rpc, ExitStack() as stack:
        rpc.call("timer.start", id="a", minutes=1)
        resource.prlimit(server_process.pid, resource.RLIMIT_NOFILE, (FEW, FEW))
        for _ in range(2 * FEW):
            stack.enter_context(raw_peer(server_process.commands))
        for number in range(20):
            rpc.call("timer.start", id=f"b/{number}", minutes=1)
        stack.close()
        with requester(server_process.commands) as later:
            assert later.call("timer.get", id="b/19")["state"] == "running"


def test_nobody_can_tell_which_routing_id_comes_next() -> None:
    first = {
        subprocess.run(
            [sys.executable, "-c", FIRST_ROUTING_ID],
            env={"PYTHONPATH": str(SERVICES)},
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        ).stdout
        for _ in range(3)
    }
    assert len(first) > 1
