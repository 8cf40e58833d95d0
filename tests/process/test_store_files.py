"""What the server says about the files of its store when it starts."""

import json
import os
import time
from pathlib import Path

import pytest
import zmq

from drivers.file_damage import used_part
from drivers.peers import request, requester, socket_to
from drivers.server_process import ServerProcess, timer_server


def test_a_mark_that_is_garbage_is_a_warning(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server, requester(server.commands) as rpc:
        rpc.call("timer.start", id="x", hours=1)
    (tmp_path / "timers.db-mark").write_bytes(b"something else")
    with ServerProcess(tmp_path) as server:
        warning = server.lines[0]
        assert (warning["level"], warning["event"]) == ("warning", "the mark was set anew")
        assert warning["reason"] == "it is no mark"


def test_a_log_that_lost_its_end_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server, requester(server.commands) as rpc:
        rpc.call("timer.start", id="x", hours=1)
        rpc.call("timer.start", id="y", hours=1)
    log = tmp_path / "timers.db-wal"
    log.write_bytes(used_part(log.name, log.read_bytes())[:-1])

    refused = timer_server(folder=tmp_path, TIMER_BIND="tcp://127.0.0.1:0", TIMER_EVENTS_BIND="tcp://127.0.0.1:0")

    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "(entry 1), but" in refused.stderr
    assert "(entry 2) had been acknowledged" in refused.stderr


@pytest.mark.parametrize("file", ["timers.db", "timers.db-wal"])
def test_a_file_that_is_removed_ends_an_idle_server_within_a_second(server_process: ServerProcess, file: str) -> None:
    with socket_to(zmq.DEALER, server_process.commands) as socket:
        socket.send_json(request("timer.start", 1, id="x", hours=1))
        socket.recv()
        socket.send_json(request("timer.wait", 2, id="x", wait_ms=60_000))
        (server_process.folder / file).unlink()
        removed_s = time.monotonic()
        assert json.loads(socket.recv())["error"]["data"]["name"] == "storage_failed"
        assert server_process.wait() == 1
    assert time.monotonic() - removed_s < 2.5
    (last_words,) = [line["event"] for line in server_process.lines if line["event"].startswith("timer-server: ")]
    assert f"{file} was removed while the server had it open" in last_words


def test_nothing_is_acknowledged_once_another_file_has_taken_its_place(server_process: ServerProcess) -> None:
    path = server_process.folder / "timers.db"
    with requester(server_process.commands) as rpc:
        rpc.call("timer.start", id="x", hours=1)
        (server_process.folder / "copy").write_bytes(path.read_bytes())
        (server_process.folder / "copy").replace(path)
        assert server_process.wait() == 1
    assert any("was replaced while" in line["event"] for line in server_process.lines)


def test_a_fifo_in_the_place_of_the_store_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "timers.db")

    refused = timer_server(folder=tmp_path, TIMER_BIND="tcp://127.0.0.1:0", TIMER_EVENTS_BIND="tcp://127.0.0.1:0")

    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "timers.db: it is a FIFO, and has to be a file" in refused.stderr


@pytest.mark.parametrize("arguments", [(), ("restored",)])
@pytest.mark.parametrize("store", ["sqlite:///.", "sqlite:////"])
def test_a_folder_without_a_name_is_no_store(tmp_path: Path, store: str, arguments: tuple[str, ...]) -> None:
    anywhere = {"TIMER_BIND": "tcp://127.0.0.1:0", "TIMER_EVENTS_BIND": "tcp://127.0.0.1:0"}
    refused = timer_server(*arguments, folder=tmp_path, TIMER_STORE=store, TIMER_LOG_FORMAT="text", **anywhere)
    assert refused.returncode == 1
    assert "it is a folder, and has to be a file" in refused.stderr
    assert "Traceback" not in refused.stderr
