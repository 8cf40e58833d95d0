"""The command `timer-server`: what it says, and its exit codes."""

import urllib.request
from pathlib import Path

import pytest

from drivers.peers import requester
from drivers.server_process import ServerProcess, timer_server


def test_help_names_every_variable(tmp_path: Path) -> None:
    shown = timer_server("--help", folder=tmp_path)
    assert shown.returncode == 0
    for name in ("TIMER_BIND", "TIMER_EVENTS_BIND", "TIMER_STORE", "TIMER_MAX_TIMERS", "TIMER_RETENTION_S"):
        assert name in shown.stdout
    assert timer_server("--version", folder=tmp_path).stdout.startswith("timer-server 0.")


def test_a_wrong_value_is_one_sentence_and_exit_2(tmp_path: Path) -> None:
    refused = timer_server(folder=tmp_path, TIMER_MAX_BATCH="many")
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    for part in ("TIMER_MAX_BATCH", "'many'", "whole number"):
        assert part in refused.stderr


def test_an_unknown_setting_is_a_warning(tmp_path: Path) -> None:
    said = "TIMER_RETENTION is no setting and has no effect; did you mean TIMER_RETENTION_S?"
    with ServerProcess(tmp_path, {"TIMER_RETENTION": "5", "TIMER_SERVER": "tcp://127.0.0.1:1"}) as server:
        server.terminate()
    assert [line["event"] for line in server.lines if line["level"] == "warning"] == [said]
    checked = timer_server("--check", folder=tmp_path, TIMER_RETENTION="5", TIMER_BIND="inproc://x")
    assert checked.stderr.splitlines()[0] == f"timer-server: {said}"


def test_a_second_server_on_the_same_store_is_refused(server_process: ServerProcess) -> None:
    store = server_process.environment["TIMER_STORE"]
    second = timer_server(
        folder=server_process.folder,
        TIMER_STORE=store,
        TIMER_BIND="tcp://127.0.0.1:0",
        TIMER_EVENTS_BIND="tcp://127.0.0.1:0",
    )
    assert second.returncode == 1
    assert "another timer-server has it open" in second.stderr
    assert "Traceback" not in second.stderr


@pytest.mark.parametrize("variable", ["TIMER_BIND", "TIMER_EVENTS_BIND", "TIMER_METRICS_BIND"])
@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_an_address_in_use_is_refused_and_nothing_is_left_behind(tmp_path: Path, variable: str, transport: str) -> None:
    place = tmp_path / "second"
    place.mkdir()
    own = {
        "TIMER_BIND": f"ipc://{tmp_path}/commands" if transport == "ipc" else "tcp://127.0.0.1:0",
        "TIMER_EVENTS_BIND": f"ipc://{tmp_path}/events" if transport == "ipc" else "tcp://127.0.0.1:0",
        "TIMER_METRICS_BIND": "127.0.0.1:0",
    }
    with ServerProcess(tmp_path, own) as first:
        taken = {**first.environment, "TIMER_METRICS_BIND": first.metrics}[variable]
        others = {"TIMER_BIND": f"ipc://{place}/commands", "TIMER_EVENTS_BIND": "tcp://127.0.0.1:0"}
        refused = timer_server(folder=place, **{**others, variable: taken})
        assert refused.returncode == 1
        assert refused.stderr.count(taken) == 1
        assert refused.stderr.endswith(f"{taken} ({variable}): Address already in use\n")
        assert list(place.iterdir()) == []
        with requester(first.commands) as rpc:
            assert rpc.call("server.info")["protocol"] == "timer/1"


def test_the_socket_file_of_a_server_that_was_killed_is_taken_over(tmp_path: Path) -> None:
    own = {"TIMER_BIND": f"ipc://{tmp_path}/commands", "TIMER_EVENTS_BIND": f"ipc://{tmp_path}/events"}
    with ServerProcess(tmp_path, own) as server:
        server.kill()
        assert (tmp_path / "commands").is_socket()
        server.start()
        with requester(server.commands) as rpc:
            assert rpc.call("server.info")["protocol"] == "timer/1"
        assert server.terminate() == 0
        assert not {"commands", "events"} & {path.name for path in tmp_path.iterdir()}


def test_a_file_in_the_place_of_a_socket_is_kept(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("precious")
    refused = timer_server(folder=tmp_path, TIMER_BIND=f"ipc://{tmp_path}/notes")
    assert refused.returncode == 1
    assert "is no socket" in refused.stderr
    assert (tmp_path / "notes").read_text() == "precious"


def test_check_asks_the_server(server_process: ServerProcess, tmp_path: Path) -> None:
    wildcard = server_process.commands.replace("127.0.0.1", "*")
    assert timer_server("--check", folder=tmp_path, TIMER_BIND=wildcard).returncode == 0
    server_process.terminate()
    failed = timer_server("--check", folder=tmp_path, TIMER_BIND=wildcard)
    assert failed.returncode == 1
    assert "no answer from" in failed.stderr


def test_metrics_tell_what_happened(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, {"TIMER_METRICS_BIND": "127.0.0.1:0"}) as server:
        with requester(server.commands) as rpc:
            rpc.call("timer.start", id="x", seconds=0.05)
            rpc.call("timer.start", id="y", minutes=1)
            rpc.call("timer.wait", id="x", wait_ms=5_000)
        (metrics,) = [line["metrics"] for line in server.lines if line["event"] == "listening"]
        with urllib.request.urlopen(f"http://{metrics}/metrics", timeout=10) as page:
            lines = page.read().decode().splitlines()
        assert server.terminate() == 0
    for line in (
        'timer_events_total{kind="started"} 2.0',
        'timer_events_total{kind="fired"} 1.0',
        'timer_timers{state="running"} 1.0',
        'timer_timers{state="fired"} 1.0',
        "timer_lateness_seconds_count 1.0",
        "timer_replies_dropped_total 0.0",
    ):
        assert line in lines
    assert any(line.startswith("timer_commit_duration_seconds_count ") for line in lines)


def test_logs_tell_decisions_and_never_payloads(server_process: ServerProcess) -> None:
    with requester(server_process.commands) as rpc:
        rpc.call("timer.start", id="x", minutes=1, label="SECRET", payload="SECRET")
        rpc.error("timer.start", id="x", minutes=2, payload="SECRET")
    server_process.terminate()
    assert [line["event"] for line in server_process.lines] == ["recovered", "listening", "stopping", "stopped"]
    assert all({"time", "level", "event"} <= line.keys() for line in server_process.lines)
    assert "SECRET" not in str(server_process.lines)


def test_debug_logs_every_event_and_every_refusal(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, {"TIMER_LOG_LEVEL": "debug"}) as server:
        with requester(server.commands) as rpc:
            rpc.call("timer.start", id="x", minutes=1, payload="SECRET")
            rpc.call("timer.cancel", id="x")
            rpc.error("timer.pause", id="x")
        server.terminate()
    told = [line for line in server.lines if line["level"] == "debug"]
    assert [(line["event"], line.get("id"), line.get("seq")) for line in told[:2]] == [
        ("started", "x", 1),
        ("cancelled", "x", 2),
    ]
    assert (told[2]["event"], told[2]["method"]) == ("refused", "timer.pause")
    assert "SECRET" not in str(server.lines)
