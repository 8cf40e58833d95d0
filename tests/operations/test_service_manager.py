"""What a service manager hears, on a datagram socket as systemd's: a server that opens, serves, is stuck and ends."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import zmq

from drivers.peers import request, requester, socket_to
from drivers.server_process import ServerProcess
from fake_time import FakeTime
from local_server import LocalServer
from service_ear import LIMIT_S, Ear
from timer_protocol.service_manager import ServiceManager, service_manager
from timer_server.core.entries import ServerStarted
from timer_server.loop.signals import OperatorSignals
from timer_server.recovery import TOLD_EVERY, _until_stopped
from timer_server.store.memory import MemoryStore

WATCHDOG_S = 60


@pytest.fixture
def ear(tmp_path: Path) -> Iterator[Ear]:
    with closing(Ear(f"{tmp_path}/notify")) as ear:
        yield ear


def test_a_process_tells_that_it_is_ready_and_that_it_stops(tmp_path: Path) -> None:
    place = f"@timer-{os.getpid()}"  # an abstract one, as in a container
    with closing(Ear(place)) as ear, ServerProcess(tmp_path, {"NOTIFY_SOCKET": place}) as server:
        assert ear.hear() == ["EXTEND_TIMEOUT_USEC=60000000", "STATUS=opening the store"]
        assert ear.hear() == ["READY=1", "STATUS=0 timers pending"]
        server.signal(signal.SIGTERM)
        assert ear.hear_until("STOPPING=1") == ["STOPPING=1", "STATUS=stopping"]
        assert server.wait() == 0


def test_signs_of_life_come_twice_in_the_watchdogs_time_while_the_loop_turns(
    ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    time, begun, goes_on = FakeTime(), threading.Event(), threading.Event()
    manager = ServiceManager(ear.place, WATCHDOG_S * 1_000_000)
    with (
        closing(manager),
        LocalServer(sources=time.sources(), manager=manager) as server,
        requester(server.commands) as rpc,
        socket_to(zmq.DEALER, server.commands) as starter,
    ):
        ear.hear_until("READY=1")
        for _ in range(3):
            assert ear.hear() == ["WATCHDOG=1", "STATUS=0 timers pending"]
            time.pass_s(WATCHDOG_S / 2 - 3)
            rpc.call("server.info")
            assert ear.is_silent
            time.pass_s(3)
            rpc.call("server.info")
        ear.hear()

        commit = MemoryStore.commit

        def hang(*given: Any) -> None:
            begun.set()
            assert goes_on.wait(LIMIT_S)
            commit(*given)

        monkeypatch.setattr(MemoryStore, "commit", hang)
        starter.send_json(request("timer.start", 1, id="tea", minutes=5))
        assert begun.wait(LIMIT_S)
        time.pass_s(WATCHDOG_S)
        assert not ear.hears_within(0.1), "whoever tells that a stuck loop lives hides it"
        goes_on.set()
        assert json.loads(starter.recv())["result"]["id"] == "tea"
        assert ear.hear() == ["WATCHDOG=1", "STATUS=1 timer pending"]
    assert ear.hear() == ["STOPPING=1", "STATUS=stopping"]


def test_a_long_opening_asks_for_more_time_once_a_second(ear: Ear, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 1_000.0
    monkeypatch.setattr("timer_protocol.service_manager.time.perf_counter", lambda: now_s)
    signals = OperatorSignals(ServiceManager(ear.place))
    with closing(signals), closing(signals.manager):
        parts = iter([[ServerStarted(None, 1, 0, 1_000)] * (TOLD_EVERY // 2)] * 7)
        for _ in _until_stopped(parts, signals):
            now_s += 0.3
        heard = [ear.hear()[1] for _ in range(2)]
    assert heard == ["STATUS=reading the log: 1000 entries", "STATUS=reading the log: 3000 entries"]
    assert ear.is_silent


def test_a_manager_that_is_not_there_is_told_of_once(tmp_path: Path) -> None:
    for place in (f"{tmp_path}/nobody", "@", "vsock:2:9", "x" * 200):
        reasons: list[str] = []
        with service_manager({"NOTIFY_SOCKET": place}, reasons.append) as manager:
            manager.ready("here")
            manager.alive("here")
            manager.stopping()
        assert len(reasons) == 1, place
        assert reasons[0], place


def test_a_manager_that_reads_nothing_holds_up_nobody(ear: Ear) -> None:
    reasons: list[str] = []
    with service_manager({"NOTIFY_SOCKET": ear.place}, reasons.append) as manager:
        while not reasons:
            manager.alive("here")
    assert reasons == ["Resource temporarily unavailable"]


@pytest.mark.parametrize(
    ("variables", "interval_s"),
    [
        ({"WATCHDOG_USEC": "3000000"}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, 15),
        ({"WATCHDOG_USEC": "often"}, 15),
        ({}, 15),
    ],
)
def test_the_watchdog_is_the_one_of_this_process(variables: dict[str, str], interval_s: float) -> None:
    with service_manager(variables, pytest.fail) as manager:
        assert manager.interval_ns == interval_s * 1_000_000_000
        assert not manager.listens
        manager.ready("nobody hears it")
