"""The priority of the gateway's process: it gives way to others, unless whoever has started it has set another one."""

import ctypes
import http.client
import json
import os
import platform
import struct
import sys
from pathlib import Path

import pytest

from drivers.program import Program
from drivers.server_process import SERVICES
from local_server import LocalServer
from timer_gateway.priority import NICE, SLICE_NS

SCHED_GETATTR = {"x86_64": 315, "aarch64": 275, "riscv64": 275}
ATTRIBUTES = struct.Struct("=IIQiIQQQ")

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="the policies are Linux's"),
    pytest.mark.skipif(os.getpriority(os.PRIO_PROCESS, 0) != 0, reason="the tests' own priority would be kept"),
]


@pytest.mark.parametrize(
    ("begun_by", "policy", "nice"),
    [((), "SCHED_BATCH", NICE), (("nice", "-n", "3"), "SCHED_OTHER", 3)],
)
def test_it_gives_way_unless_a_priority_is_set(
    begun_by: tuple[str, ...], policy: str, nice: int, server: LocalServer, tmp_path: Path
) -> None:
    variables = {
        "PYTHONPATH": str(SERVICES),
        "TIMER_LOG_FORMAT": "json",
        "TIMER_SERVER": server.commands,
        "TIMER_EVENTS": server.events,
        "TIMER_GATEWAY_BIND": "127.0.0.1:0",
        "TIMER_GATEWAY_TOKENS": "none",
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TIMER_")}
    program = Program([*begun_by, sys.executable, "-m", "timer_gateway"], {**inherited, **variables}, tmp_path)
    try:
        listening = json.loads(program.expect(r'\{[^\n]*"event":"listening"[^\n]*\}').group())
        connection = http.client.HTTPConnection(listening["http"].removeprefix("http://"), timeout=10)
        connection.request("GET", "/timer?id=tea")  # ZeroMQ's threads are there with the first request
        assert connection.getresponse().status == 404
        connection.close()
        priorities = {name: priority(thread) for name, thread in threads(program.pid)}
        serving = {"main", *(name for name in priorities if name.startswith("ZMQ"))}
        assert len(serving) >= 3
        assert {priorities[name] for name in serving} == {(getattr(os, policy), nice)}
        if (usual_ns := slice_ns(0)) > 0:
            slices_ns = {slice_ns(thread) for name, thread in threads(program.pid) if name in serving}
            assert slices_ns == {usual_ns if begun_by else SLICE_NS}
    finally:
        program.close()


def threads(pid: int) -> list[tuple[str, int]]:
    """The names and ids of a process's threads. Its main thread is called so."""
    tasks = {int(task.name): (task / "comm").read_text().strip() for task in Path(f"/proc/{pid}/task").iterdir()}
    return [("main" if thread == pid else name, thread) for thread, name in tasks.items()]


def priority(thread: int) -> tuple[int, int]:
    """A thread's policy and nice value."""
    return os.sched_getscheduler(thread), os.getpriority(os.PRIO_PROCESS, thread)


def slice_ns(thread: int) -> int:
    """For how long at a time a thread has a processor that others want; 0 where a kernel before 6.12 does not tell."""
    number = SCHED_GETATTR.get(platform.machine())
    if number is None:
        return 0
    attributes = ctypes.create_string_buffer(ATTRIBUTES.size)
    assert ctypes.CDLL(None).syscall(number, thread, attributes, ATTRIBUTES.size, 0) == 0
    return int(ATTRIBUTES.unpack(attributes.raw)[5])
