"""The command and many timers at once: changes below a prefix, lists by deadline, files of jobs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from local_server import LocalServer
from timer_client import TimerClient
from timer_client.cli import root

Command = Callable[..., Result]


@pytest.fixture
def timers(server: LocalServer) -> Any:
    with TimerClient(server.commands, server.events) as client:
        yield client


@pytest.fixture
def command(server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs the command in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    where = {"TIMER_SERVER": server.commands, "TIMER_EVENTS": server.events}

    def run(*arguments: str, answers: bytes | None = None) -> Result:
        return CliRunner(env=where).invoke(root, arguments, input=answers)

    return run


def listed(command: Command, *options: str) -> list[str]:
    ran = command("list", *options)
    assert ran.exit_code == 0, ran.stderr
    return [line.split("\t")[0] for line in ran.stdout.splitlines()]


class TestChanges:
    def test_several_are_changed_at_once(self, command: Command, timers: Any) -> None:
        timers.start_columns(["a", "b", "c"], 60)
        assert command("pause", "a", "b").stdout == "2 timers paused\n"
        assert command("pause", "a", "c").stdout == "1 timer paused, 1 unchanged\n"
        assert timers.info().counts.paused == 3

    def test_all_below_a_prefix_after_a_dry_run(self, command: Command, timers: Any) -> None:
        timers.start_columns([f"order/{number}" for number in range(1500)] + ["tea"], 60)
        assert command("cancel", "--prefix", "order/", "--dry-run").stdout == "1500 timers would be cancelled\n"
        assert timers.info().counts.cancelled == 0
        assert command("cancel", "--prefix", "order/").stdout == "1500 timers cancelled\n"
        assert command("cancel", "--prefix", "").stdout == "1 timer cancelled\n"
        restarted = command("restart", "--prefix", "order/1", "--state", "cancelled", "--json")
        assert json.loads(restarted.stdout)["changed"] == 611

    def test_those_that_cannot_be_changed_are_told(self, command: Command, timers: Any) -> None:
        timers.start_columns(["a", "b"], 60)
        timers.cancel("b")
        ran = command("pause", "a", "b", "c")
        assert (ran.exit_code, ran.stdout) == (1, "1 timer paused, 2 refused\n")
        assert ran.stderr.splitlines() == [
            "timer: timer 'b' is cancelled: pause is not possible, restart is",
            "timer: timer 'c' is not there: never started, or ended and forgotten",
        ]

    @pytest.mark.parametrize("arguments", [(), ("a", "--prefix", "a")])
    def test_either_ids_or_a_prefix_is_needed(self, command: Command, arguments: tuple[str, ...]) -> None:
        ran = command("cancel", *arguments)
        assert ran.exit_code == 2
        assert "name timers by their ids, or give --prefix" in " ".join(ran.stderr.split())


class TestListByDeadline:
    def test_next_first_and_within_a_time(self, command: Command, timers: Any) -> None:
        timers.start_columns(["a", "b", "c"], [7200, 60, 600])
        timers.start(seconds=5, id="paused")
        timers.pause("paused")
        assert listed(command, "--sort", "due") == ["b", "c", "a"]
        assert listed(command, "--sort", "due", "--due-before", "1h") == ["b", "c"]
        assert listed(command, "--due-before", "3h", "--state", "running") == ["a", "b", "c"]
        ran = command("list", "--sort", "due", "--limit", "2")
        assert ran.stderr == "Left out: those that fire after these 2.\n"

    def test_others_than_running_ones_have_no_deadline(self, command: Command) -> None:
        for options in (("--sort", "due", "--all"), ("--due-before", "1h", "--state", "paused")):
            ran = command("list", *options)
            assert ran.exit_code == 2
            assert "running timers only" in ran.stderr
        assert "'soon'" in command("list", "--due-before", "soon").stderr


def write(name: str, *lines: object) -> None:
    Path(name).write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))


class TestFiles:
    def test_each_line_is_started(self, command: Command, timers: Any) -> None:
        write("jobs.jsonl", {"id": "a", "minutes": 5, "label": "tea", "payload": {"n": [1]}}, "", {"seconds": 1.5})
        ran = command("start", "--file", "jobs.jsonl")
        assert (ran.exit_code, ran.stdout) == (0, "2 timers started\n")
        timer = timers.get("a")
        assert (timer.duration_ms, timer.label, timer.payload) == (300_000, "tea", {"n": [1]})
        assert command(
            "start", "--file", "-", answers=b'{"id":"a","minutes":5,"label":"tea","payload":{"n":[1]}}'
        ).stdout == ("0 timers started, 1 there already\n")

    def test_bad_lines_are_named_and_the_others_started(self, command: Command) -> None:
        jobs: list[object] = [{"id": f"a/{number}", "seconds": 60} for number in range(1, 1101)]
        jobs[733] = '{"id": "a/734", "payload": {]'
        jobs[734] = {"id": "no id", "seconds": 1}
        jobs[735] = {"id": "a/736", "second": 1}
        jobs[736] = {"id": "a/737"}
        jobs[737] = {"id": "a/738", "seconds": 1, "at": "2030-01-01T00:00Z"}
        jobs[1050] = {"id": "a/1", "seconds": 61}
        write("jobs.jsonl", *jobs)
        ran = command("start", "--file", "jobs.jsonl")
        assert (ran.exit_code, ran.stdout) == (1, "1094 timers started, 6 lines refused\n")
        said = ran.stderr.splitlines()
        assert [line.split(":")[1].strip() for line in said] == [
            f"jobs.jsonl, line {number}" for number in (734, 735, 736, 737, 738, 1051)
        ]
        reasons = (
            "is no timer in JSON",
            "id must be",
            "second",
            "more than zero",
            "either `at` or hours",
            "exists with other",
        )
        for line, reason in zip(said, reasons, strict=True):
            assert reason in line

    def test_atomic_starts_nothing_where_one_line_is_bad(self, command: Command, timers: Any) -> None:
        moments = ({"at": "2099-02-31T09:00Z"}, {"at": "2099-01-01T09:00"}, {"at": "2099-01-01T09:00Z", "zone": "UTC"})
        write("jobs.jsonl", {"id": "a", "seconds": 60}, "{", *moments, {"at": "2099-01-01T09:00", "zone": "UTC"})
        ran = command("start", "--file", "jobs.jsonl", "--atomic")
        assert ran.exit_code == 2
        assert "jobs.jsonl, line 2: it is no timer in JSON" in ran.stderr
        assert "line 3: '2099-02-31T09:00Z' is no moment: day is out of range for month" in ran.stderr
        assert "line 4: '2099-01-01T09:00' is no moment: a local time needs a zone" in ran.stderr
        assert "line 5: '2099-01-01T09:00Z' is no moment: a moment with an offset takes no zone" in ran.stderr
        assert "4 lines of jobs.jsonl cannot be used, so nothing was started" in ran.stderr
        assert timers.info().counts.running == 0
        write("jobs.jsonl", {"id": "a", "seconds": 60})
        assert command("start", "--file", "jobs.jsonl", "--atomic").stdout == "1 timer started\n"

    def test_what_the_server_refuses_is_listed_with_its_line(self, command: Command, timers: Any) -> None:
        timers.start(seconds=5, id="b")
        write("jobs.jsonl", {"id": "a", "seconds": 60}, {"id": "b", "seconds": 60})
        ran = command("start", "--file", "jobs.jsonl", "--json", "--atomic")
        told = json.loads(ran.stdout)
        assert (ran.exit_code, told["started"], told["refused"][0]["line"]) == (1, 1, 2)

    def test_options_of_one_timer_do_not_go_with_a_file(self, command: Command) -> None:
        write("jobs.jsonl", {"seconds": 60})
        for arguments in (("5m", "--file", "jobs.jsonl"), ("--file", "jobs.jsonl", "--id", "a"), ("5m", "--atomic")):
            assert command("start", *arguments).exit_code == 2
        assert "does not exist" in command("start", "--file", "nowhere").stderr

    def test_what_was_exported_is_imported_elsewhere_once(self, command: Command, timers: Any) -> None:
        timers.start(minutes=30, id="order/1", label="tea\x1b[31m", payload={"a": [1, None]})
        timers.start(minutes=10, id="order/2")
        timers.pause("order/2")
        timers.start(minutes=10, id="order/3")
        timers.cancel("order/3")
        timers.start(minutes=10, id="tea")
        exported = command("export", "--prefix", "order/").stdout_bytes
        assert [json.loads(line)["id"] for line in exported.splitlines()] == ["order/1", "order/2"]
        Path("timers.jsonl").write_bytes(exported)
        with LocalServer() as other, TimerClient(other.commands, other.events) as there:
            where = ("--server", other.commands)
            assert command(*where, "import", "--file", "timers.jsonl").stdout == "2 timers started\n"
            timer = there.get("order/1")
            assert (timer.label, timer.payload, timer.state) == ("tea\x1b[31m", {"a": [1, None]}, "running")
            assert 0 < timer.duration_ms <= 30 * 60_000
            assert there.get("order/2").state == "paused"
            there.resume("order/2")
            assert command(*where, "import", answers=exported).stdout == "0 timers started, 2 there already\n"
            assert there.get("order/2").state == "running"
