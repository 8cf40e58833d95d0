"""Backups between real processes: made while a server serves, checked, and made a store with which one goes on."""

import signal
import socket
import threading
from contextlib import closing
from pathlib import Path

import pytest

from drivers.peers import requester
from drivers.server_process import ServerProcess, timer_server
from local_server import LocalServer
from timer_server.backup import backup, check_file
from timer_server.store.base import StoreError
from timer_server.wire.admin_place import admin_path

TO = "restored.db"
KEPT = 40


def test_from_a_server_that_serves_to_one_that_goes_on(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server, requester(server.commands) as rpc:
        store = {"TIMER_STORE": server.environment["TIMER_STORE"]}
        for number in range(KEPT):
            rpc.call("timer.start", id=f"kept/{number}", hours=1, payload="x" * 10_000)
        ((log, seq),) = rpc.call("events.read", after={}, limit=1000)["next"].items()
        made = timer_server("backup", "of today", folder=tmp_path, **store)
        assert (made.returncode, made.stderr) == (0, "")
        assert made.stdout.startswith(f"of today is a backup of log {log} up to event {seq}, of 2")
        assert made.stdout.endswith(f"+00:00, {KEPT} entries\n")
        assert server.wait_for_log("backup made")["bytes"] > KEPT * 10_000
        rpc.call("timer.start", id="lost", hours=1)
        assert server.terminate() == 0
    checked = timer_server("check", "of today", folder=tmp_path)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout.startswith(f"of today is whole: log {log} up to event {KEPT}, ")

    restored = timer_server("restore", "of today", "--to", f"sqlite:///{TO}", folder=tmp_path)
    assert (restored.returncode, restored.stderr) == (0, "")
    assert f"log {log} goes on as " in restored.stdout
    assert f"after event {KEPT} in {TO}; the server may be started" in restored.stdout
    again = timer_server("restore", "of today", "--to", TO, folder=tmp_path)
    assert (again.returncode, again.stdout) == (1, "")
    assert f"{TO} is there already" in again.stderr

    with ServerProcess(tmp_path, {"TIMER_STORE": f"sqlite:///{TO}"}) as server, requester(server.commands) as rpc:
        assert {timer["id"] for timer in rpc.call("timer.list", limit=1000)["timers"]} == {
            f"kept/{number}" for number in range(KEPT)
        }
        assert rpc.call("events.read", after={log: KEPT})["truncated"] is False
        beyond = rpc.call("events.read", after={log: KEPT + 1})
        assert (beyond["truncated"], list(beyond["next"].values())) == (True, [KEPT])
        assert not [line for line in server.lines if line["level"] == "warning"]


@pytest.mark.parametrize(
    ("arguments", "variables", "exit_code", "said"),
    [
        (["backup", "file"], {"TIMER_STORE": "memory:"}, 2, "TIMER_STORE names no file: what is in memory ends"),
        (["backup", "file"], {"TIMER_STORE": "postgresql://a/b"}, 2, "PostgreSQL has backups of its own"),
        (["backup", "file"], {"TIMER_STORE": "sqlite:///timers.db"}, 1, "no server has timers.db open"),
        (["backup"], {}, 2, "FILE"),
        (["check", "nothing"], {}, 1, "cannot read nothing: No such file or directory"),
        (["restore", "nothing", "--to", "new.db"], {}, 1, "cannot read nothing: No such file or directory"),
        (["restore", "nothing"], {}, 2, "--to"),
        (["restore", "nothing", "--to", "memory:"], {}, 2, "'memory:' is neither sqlite:///PATH"),
        (["restore", "nothing", "--to", "postgresql://a/b"], {}, 2, "is neither sqlite:///PATH"),
    ],
)
def test_refusals(tmp_path: Path, arguments: list[str], variables: dict[str, str], exit_code: int, said: str) -> None:
    refused = timer_server(*arguments, folder=tmp_path, **variables)

    assert (refused.returncode, refused.stdout) == (exit_code, "")
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_told_to_stop_or_killed_leaves_no_backup(tmp_path: Path) -> None:
    """And the socket of one that was killed is in nobody's way."""
    server = ServerProcess(tmp_path)
    for stopped in (signal.SIGKILL, signal.SIGTERM):
        with server, requester(server.commands) as rpc:
            for number in range(20):
                rpc.call("timer.start", id=f"{stopped}/{number}", hours=1, payload="x" * 20_000)
            failures: list[StoreError] = []
            asking = threading.Thread(target=_fail_to_back_up, args=(tmp_path, failures))
            server.signal(signal.SIGSTOP)  # it finds both when it goes on
            asking.start()
            server.signal(stopped)
            server.signal(signal.SIGCONT)
            server.wait()
            asking.join(10)
        (failure,) = failures
        assert "the server has ended" in str(failure) or "no server has" in str(failure)
        assert not (tmp_path / "file").exists()
        assert not (tmp_path / "file.part").exists()


def _fail_to_back_up(folder: Path, failures: list[StoreError]) -> None:
    try:
        backup(folder / "timers.db", folder / "file")
    except StoreError as failure:
        failures.append(failure)


def test_timers_end_in_time_while_copies_are_made_one_after_the_other(tmp_path: Path) -> None:
    store, file = tmp_path / "timers.db", tmp_path / "file"
    with LocalServer(store_path=store) as server, requester(server.commands) as rpc:
        for number in range(50):
            rpc.call("timer.start", id=f"long/{number}", hours=1, payload="x" * 20_000)
        stopped = threading.Event()
        made: list[str] = []

        def back_up() -> None:
            while not stopped.is_set():
                made.append(backup(store, file))

        thread = threading.Thread(target=back_up)
        thread.start()
        try:
            for number in range(20):
                rpc.call("timer.start", id=f"short/{number}", seconds=0.02)
                fired = rpc.call("timer.wait", id=f"short/{number}", wait_ms=5_000)
                assert fired["state"] == "fired"
        finally:
            stopped.set()
            thread.join(20)
    assert len(made) > 1
    assert check_file(file).startswith(f"{file} is whole")


def test_a_place_for_the_socket_that_is_taken_is_a_warning_and_no_fault(tmp_path: Path) -> None:
    store = tmp_path / "timers.db"
    admin_path(store).write_text("of somebody")
    with LocalServer(store_path=store) as server, requester(server.commands) as rpc:
        assert rpc.call("server.info")["logs"]
        with pytest.raises(StoreError, match="no server has"):
            backup(store, tmp_path / "file")
    assert admin_path(store).read_text() == "of somebody"


def test_the_socket_is_gone_once_the_server_has_stopped(tmp_path: Path) -> None:
    store = tmp_path / "timers.db"
    with LocalServer(store_path=store):
        assert admin_path(store).is_socket()
        with closing(socket.socket(socket.AF_UNIX)) as idle:
            idle.connect(str(admin_path(store)))
    assert not admin_path(store).exists()
