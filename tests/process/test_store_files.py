"""What the server says about the files of its store when it starts."""

from pathlib import Path

from drivers.peers import requester
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
    log.write_bytes(log.read_bytes()[:-1])

    refused = timer_server(folder=tmp_path, TIMER_BIND="tcp://127.0.0.1:0", TIMER_EVENTS_BIND="tcp://127.0.0.1:0")

    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "(entry 1), but" in refused.stderr
    assert "(entry 2) had been acknowledged" in refused.stderr
