"""What a process may use up: its descriptors, and the routing ids of its peers."""

import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import zmq

from bench.cpu_time import process_ns
from drivers.peers import Requester, requester, socket_to
from drivers.raw_zmtp import raw_peer
from drivers.server_process import SERVICES, ServerProcess
from keys import KeyRing
from timer_server.descriptors import NEEDED

FEW = 64

BUSY_S = 0.3
"""Of a second. One that tries without end to accept a connection takes all of it."""

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
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    server = ServerProcess(tmp_path)
    server.within = ("sh", "-c", 'ulimit -S -n 512 && exec "$@"', "sh")
    with server:
        assert resource.prlimit(server.pid, resource.RLIMIT_NOFILE) == (hard, hard)
        assert next(line for line in server.lines if line["event"] == "listening")["descriptors"] == hard


@pytest.mark.parametrize(("limit", "left"), [(6, 3), (12, 9), (27, 24), (50, 47)])
def test_too_few_descriptors_are_told_before_anything_starts(tmp_path: Path, limit: int, left: int) -> None:
    """With some of these numbers libzmq would end the process by its own assertions, with others a call fails late."""
    run = subprocess.run(
        [*limited(limit), sys.executable, "-m", "timer_server"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(SERVICES)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert run.returncode == 1
    assert run.stderr == (
        f"timer-server: the limit of open files (ulimit -n) is {limit}, which leaves {left}, but 50 are needed,"
        " and one more for each client\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_with_as_many_as_are_needed_clients_are_served(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys")
    ring.add("client")
    server = ServerProcess(
        tmp_path, {"TIMER_CURVE_SERVER_SECRET": str(ring.files.secret), "TIMER_METRICS_BIND": "127.0.0.1:0"}
    )
    server.within = limited(3 + NEEDED)
    with server, ExitStack() as stack:
        for _ in range(5):
            socket = stack.enter_context(socket_to(zmq.REQ, server.commands, **ring.options("client")))
            Requester(socket).call("timer.start", minutes=1)
        with socket_to(zmq.SUB, server.events, **ring.options("client")) as sub:
            sub.subscribe(b"~beat")
            sub.recv_multipart()


def limited(descriptors: int) -> tuple[str, ...]:
    """A command that runs another with a limit of descriptors, and becomes it."""
    return ("sh", "-c", f'ulimit -n {descriptors} && exec "$@"', "sh")


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


class TestUsedUp:
    """Peers that do nothing hold all descriptors that connections may have, and more of them come."""

    @pytest.fixture
    def idle(self) -> Iterator[ExitStack]:
        with ExitStack() as stack:
            yield stack

    def test_those_who_wait_take_no_processor_time(self, server_process: ServerProcess, idle: ExitStack) -> None:
        with beats(server_process) as sub:
            use_up(server_process, idle, FEW)
            assert busy_s(server_process, sub) < BUSY_S

    @pytest.mark.thorough
    def test_nor_do_they_where_fewer_are_allowed_than_there_were(
        self, server_process: ServerProcess, idle: ExitStack
    ) -> None:
        with beats(server_process) as sub:
            for _ in range(FEW // 2):
                idle.enter_context(raw_peer(server_process.commands)).receive(1)  # it is accepted
            use_up(server_process, idle, descriptors(server_process) - 8)
            assert busy_s(server_process, sub) < BUSY_S

    @pytest.mark.thorough
    def test_nor_do_they_where_fewer_are_allowed_than_the_server_has_itself(
        self, server_process: ServerProcess, idle: ExitStack
    ) -> None:
        allowed = resource.prlimit(server_process.pid, resource.RLIMIT_NOFILE)
        limit = descriptors(server_process) - 8
        resource.prlimit(server_process.pid, resource.RLIMIT_NOFILE, (limit, allowed[1]))
        for endpoint in (server_process.commands, server_process.events):
            idle.enter_context(raw_peer(endpoint))
        server_process.wait_for_log("connections cut: too few descriptors")
        for _ in range(2):
            server_process.wait_for_log("cannot listen now; it is tried again")
        before_ns = process_ns(server_process.pid)
        for _ in range(2):  # a second later
            server_process.wait_for_log("cannot listen now; it is tried again")
        assert (process_ns(server_process.pid) - before_ns) / 1e9 < BUSY_S
        resource.prlimit(server_process.pid, resource.RLIMIT_NOFILE, allowed)
        with requester(server_process.commands) as rpc:
            assert rpc.call("server.info")["protocol"] == "timer/1"

    def test_keys_are_read_and_connections_cut(self, tmp_path: Path, idle: ExitStack) -> None:
        ring = KeyRing(tmp_path / "keys")
        for name in ("stays", "goes", "babbles"):
            ring.add(name)
        with ServerProcess(tmp_path, {"TIMER_CURVE_SERVER_SECRET": str(ring.files.secret)}) as server:
            with socket_to(zmq.XSUB, server.events, **ring.options("babbles")) as socket:
                socket.send(b"\x01~beat")
                socket.recv_multipart()
                use_up(server, idle, FEW)
                socket.send(b"no subscription")
                server.wait_for_log("all subscribers are cut off and may connect again")
            use_up(server, idle, FEW)
            ring.remove("goes")
            server.signal(signal.SIGHUP)
            server.wait_for_log("all connections are cut and may be made anew")
            idle.close()
            with socket_to(zmq.REQ, server.commands, **ring.options("stays")) as socket:
                assert Requester(socket).call("server.info")["protocol"] == "timer/1"


@contextmanager
def beats(server: ServerProcess) -> Iterator[zmq.Socket[bytes]]:
    """A subscriber that has heard a beat."""
    with socket_to(zmq.SUB, server.events) as sub:
        sub.subscribe(b"~beat")
        sub.recv_multipart()
        yield sub


def use_up(server: ServerProcess, idle: ExitStack, limit: int) -> None:
    """Allows a server only so many descriptors, and has peers take them."""
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (limit, limit))
    for endpoint in (server.commands, server.events) * FEW:
        with suppress(ConnectionError):  # turned away at once
            idle.enter_context(raw_peer(endpoint))
    assert server.wait_for_log("connections turned away: too few descriptors")["count"] > 0


def descriptors(server: ServerProcess) -> int:
    """How many a server has open."""
    return len(list(Path(f"/proc/{server.pid}/fd").iterdir()))


def busy_s(server: ServerProcess, sub: zmq.Socket[bytes]) -> float:
    """The processor time that a server takes from the second next beat to the one after it."""
    sub.recv_multipart()
    sub.recv_multipart()
    before_ns = process_ns(server.pid)
    sub.recv_multipart()
    return (process_ns(server.pid) - before_ns) / 1e9


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
