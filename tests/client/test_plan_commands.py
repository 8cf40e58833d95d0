"""The commands about plans: `every`, `cron`, `run` and `plan`, on a clock that the test moves."""

import json
import re
import shlex
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from click.testing import CliRunner, Result

from client.command import environment
from drivers.program import LoadedProgram, Program
from timer_client import Countdown, TimerClient
from timer_client.cli import root
from timer_client.cli.displays import JsonDisplay, LineDisplay
from timer_client.cli.timer_ids import complete_plan_id
from timer_testing import TimerServer

Command = Callable[..., Result]

BEGIN = datetime(2030, 3, 29, 12, tzinfo=UTC)  # a Friday; the clocks of Rome are set forward in the night to Sunday
LIMIT_S = 20.0

RUNS = (
    "timer: the command sh runs after each end; nothing runs while this client is gone "
    "(`timer work` is for ends that nobody may miss)"
)


@pytest.fixture
def server() -> Iterator[TimerServer]:
    with TimerServer(BEGIN) as running:
        yield running


@pytest.fixture
def client(server: TimerServer) -> Iterator[TimerClient]:
    with server.client() as connected:
        yield connected


@pytest.fixture
def command(server: TimerServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """Runs the command in this process, in a folder of its own, with the clocks of Kolkata."""
    where = {"TIMER_SERVER": server.server, "TIMER_EVENTS": server.events, "TZ": "Asia/Kolkata"}

    def run(*arguments: str, answers: bytes | None = None) -> Result:
        return CliRunner(env=where).invoke(root, arguments, input=answers)

    with monkeypatch.context() as changed:
        changed.chdir(tmp_path)
        changed.setenv("TZ", "Asia/Kolkata")
        time.tzset()
        yield run
    time.tzset()


@pytest.fixture
def moving(server: TimerServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lets time pass when a countdown is shown, until its timer fires."""
    shown: SimpleQueue[Countdown | None] = SimpleQueue()

    def move() -> None:
        while (countdown := shown.get(timeout=LIMIT_S)) is not None:
            server.advance(seconds=countdown.timer.remaining_ms / 1000)

    for display in (LineDisplay, JsonDisplay):

        def begin(self: Any, countdown: Countdown, begin: Any = display.begin) -> None:
            begin(self, countdown)
            shown.put(countdown)

        monkeypatch.setattr(display, "begin", begin)
    mover = threading.Thread(target=move, daemon=True)
    mover.start()
    yield
    shown.put(None)
    mover.join(LIMIT_S)
    assert not mover.is_alive()


def started(server: TimerServer, folder: Path, *arguments: str, terminal: bool = False) -> Program:
    """A command in a process of its own."""
    variables = environment(None, TIMER_SERVER=server.server, TIMER_EVENTS=server.events)
    return LoadedProgram(["timer", *arguments], variables, folder, terminal=terminal)


class TestPut:
    def test_cron_tells_the_next_moments_on_the_clocks_of_its_zone(self, command: Command) -> None:
        words = ("cron", "0 9 * * 1-5", "--zone", "Europe/Rome", "--id", "standup", "--label", "Stand-up")
        ran = command(*words)
        assert (ran.exit_code, ran.stderr) == (0, "")
        assert ran.stdout == (
            "Stand-up (plan standup) is active: 0 9 * * 1-5 in Europe/Rome.\n"
            "Next:\n"
            "  Mon 2030-04-01 09:00:00 +02:00\n"
            "  Tue 2030-04-02 09:00:00 +02:00\n"
            "  Wed 2030-04-03 09:00:00 +02:00\n"
            "  Thu 2030-04-04 09:00:00 +02:00\n"
            "  Fri 2030-04-05 09:00:00 +02:00\n"
        )
        unquoted = ("cron", "0", "9", "*", "*", "1-5", *words[2:])
        assert json.loads(command(*unquoted, "--json").stdout)["version"] == 1

    def test_every_tells_them_on_the_clocks_of_this_machine(self, command: Command) -> None:
        ran = command("every", "1", "hour", "30m", "--id", "drink", "--count", "2")
        assert ran.stdout == (
            "Plan drink is active: every 1 hour 30 minutes, 2 times.\n"
            "Next:\n"
            "  Fri 2030-03-29 19:00:00 +05:30\n"
            "  Fri 2030-03-29 20:30:00 +05:30\n"
        )

    def test_all_options_come_to_the_server(self, command: Command) -> None:
        options = shlex.split("--missed all --overlap skip --label tea --payload [1] --count 9 --id a")
        bounds = ("--from", "2030-04-01 09:00", "--until", "2030-05-01T00:00:00Z")
        plan = json.loads(command("cron", "0 9 * * *", "--zone", "UTC", *options, *bounds, "--json").stdout)
        told = {name: plan[name] for name in ("missed", "overlap", "label", "payload", "count", "plan")}
        assert told == {"missed": "all", "overlap": "skip", "label": "tea", "payload": [1], "count": 9, "plan": "a"}
        moments = [datetime.fromtimestamp(plan[name] / 1000, UTC) for name in ("from_ms", "until_ms")]
        assert moments == [datetime(2030, 4, 1, 9, tzinfo=UTC), datetime(2030, 5, 1, tzinfo=UTC)]
        there = json.loads(command("every", "1d", "--from", "2030-04-01 09:00", "--json").stdout)
        assert datetime.fromtimestamp(there["from_ms"] / 1000, UTC) == datetime(2030, 4, 1, 3, 30, tzinfo=UTC)
        assert re.fullmatch(r"[0-9a-f-]{36}", there["plan"])

    def test_an_id_that_is_made_has_the_prefix_of_the_key(
        self, command: Command, client: TimerClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TIMER_ID_PREFIX", "shop/")
        assert command("every", "1h").exit_code == 0
        assert client.plans()[0].plan.startswith("shop/")

    @pytest.mark.parametrize(
        ("words", "code", "told"),
        [
            (["cron", "0 9 31 2 *", "--zone", "UTC"], 2, "'0 9 31 2 *' never comes: no month that"),
            (["cron", "0 9 * *", "--zone", "UTC"], 2, "it has 4 fields where 5 are expected"),
            (["cron", "0 9 * * *", "--zone", "Europe/Rom"], 2, "did you mean Europe/Rome?"),
            (["cron", "0 9 * * *"], 2, "such as --zone Europe/Rome, or --zone UTC"),
            (
                ["cron", "0 9 * * *", "--zone", "UTC", "--from", "soon"],
                2,
                "--from: 'soon' is no moment: expected 14:30",
            ),
            (["every", "1h", "--until", "2020-01-01T00:00:00Z"], 2, "the rule never comes"),
            (["every", "0.5s"], 2, "every 0.5s comes too often: at least 1 second lies between two timers"),
            (["every", "-1h"], 2, "every -1h comes too often"),
            (["every", "soon"], 2, "'soon' is no duration; write 90"),
            (["every", "1h", "--payload", "{"], 2, "--payload is not JSON"),
            (["every", "1h", "--missed", "some"], 2, "'some' is not one of 'last', 'all', 'none'"),
            (["every", "1h", "--id", "a~b"], 2, "a~b"),
            (["every", "1h", "--id", ""], 2, "timer: --id must have at least 1 character"),
            (["plan", "show", ""], 2, "timer: ID must have at least 1 character"),
            (["every", "1h", "--", "no-such-command"], 127, "no-such-command cannot be found; nothing was started"),
            (["every", "1h", "--"], 2, "after -- comes the command"),
            (["run", "work=25m", "--count", "2"], 2, "steps have no --count: --times 2 goes through all"),
            (["run", "work"], 2, "'work' is no step such as work=25m"),
            (["run", "work=25m", "--last", "long"], 2, "'long' is no step"),
            (["run", "a=1m", "--times", "200", "--last", "b=1"], 2, "200 steps, written out for --times 200"),
            (["run", "a=1m", "--detach", "--", "true"], 2, "--detach leaves nobody to run the command"),
            (["plan", "preview", "every", "1h", "--zone", "UTC"], 2, "--zone is about cron"),
            (["plan", "preview", "cron", "0 9 * * *", "--zone", "UTC", "--times", "2"], 2, "are about run"),
            *(
                (["plan", verb, "nope"], 1, "plan 'nope' is not there. The command `plan ls` shows")
                for verb in ("show", "watch", "pause", "resume", "skip", "run")
            ),
            (["plan", "rm", "nope"], 1, "there is no plan 'nope'; the command `plan ls` shows those there are"),
        ],
    )
    def test_what_cannot_be_is_told_and_nothing_put(
        self, command: Command, client: TimerClient, words: list[str], code: int, told: str
    ) -> None:
        ran = command(*words)
        assert (ran.exit_code, ran.stdout) == (code, "")
        assert told in " ".join(ran.stderr.split())
        assert client.plans() == []


class TestRun:
    @pytest.mark.usefixtures("moving")
    def test_one_display_for_all_steps(self, command: Command, client: TimerClient) -> None:
        ran = command("run", "work=25m", "rest=5m", "--times", "2", "--last", "long=15m", "--id", "pomodoro")
        assert (ran.exit_code, ran.stderr) == (0, "")
        told = re.sub(r", until [^.]*|\d+:\d\d:\d\d to go\n", "", ran.stdout)
        assert re.sub(r" at [-\d: ]+", "", told).splitlines() == [
            "Plan pomodoro is active: work 25 minutes, rest 5 minutes, work 25 minutes, long 15 minutes.",
            *(
                f"{step} {what}"
                for step, time in (("work 1/2", 25), ("rest 1/2", 5), ("work 2/2", 25), ("long 2/2", 15))
                for what in (f"is running: 0:{time:02}:00 to go.", "has fired.")
            ),
            "Plan pomodoro is finished: work 25 minutes, rest 5 minutes, work 25 minutes, long 15 minutes.",
        ]
        assert client.plans() == []

    @pytest.mark.usefixtures("moving")
    def test_a_command_after_each_end(self, command: Command, tmp_path: Path) -> None:
        script = f"printenv TIMER_ID TIMER_LABEL >>{shlex.quote(str(tmp_path))}/told; cat >>told; exit 7"
        ran = command("run", "a=1h", "b=2h", "--times", "2", "--payload", "[1]", "--id", "x", "--", "sh", "-c", script)
        assert ran.exit_code == 7
        assert ran.stderr.splitlines() == [
            RUNS,
            *["timer: the command sh ended with exit code 7"] * 4,
        ]
        lines = (tmp_path / "told").read_text().splitlines()
        assert lines[1::3] == ["a", "b", "a", "b"]
        assert lines[::3] == [f"x~20300329T{hour}0000Z" for hour in (13, 15, 16, 18)]
        assert lines[2::3] == ["[1]"] * 4

    @pytest.mark.usefixtures("moving")
    def test_json_is_the_plan_and_its_timers(self, command: Command) -> None:
        plan, *timers = map(json.loads, command("run", "a=1h", "b=2h", "--json").stdout.splitlines())
        assert len(plan["steps"]) == 2
        assert [(timer["label"], timer["state"]) for timer in timers] == [
            ("a", "running"), ("a", "fired"), ("b", "running"), ("b", "fired"),
        ]  # fmt: skip

    def test_one_that_is_over_does_not_run_again_by_itself(self, command: Command, server: TimerServer) -> None:
        words = ("run", "a=1h", "--id", "x")
        assert command(*words, "--detach").stdout.startswith("Plan x is active: a 1 hour.\nNext:\n")
        server.advance(hours=1)
        ran = command(*words)
        assert (ran.exit_code, ran.stdout) == (1, "")
        assert ran.stderr == "timer: plan 'x' has run before, and is over; after `timer plan rm x` it runs again\n"

    def test_ctrl_c_leaves_the_plan_and_tells_how_to_come_back(
        self, server: TimerServer, client: TimerClient, tmp_path: Path
    ) -> None:
        words = ("run", "work=25m", "rest=5m", "--id", "x", "--", "touch", "has run")
        with closing(started(server, tmp_path, *words, terminal=True)) as program:
            program.expect(r"work .*━.* 0:25:00|work .*━.* 0:24:")
            program.send("\x03")
            told = program.expect(r"Left; (.*)\. To come back: (.*); to stop it: (.*)\r\n")
            assert told.groups() == (
                "the plan goes on, and the command touch will not run",
                "timer plan watch x -- touch 'has run'",
                "timer plan rm x",
            )
            assert program.wait() == -signal.SIGINT
        with closing(started(server, tmp_path, "plan", "watch", "x", "--", "touch", "has run")) as program:
            program.expect("work is running: 0:2")
            client.pause_plan("x")
            program.expect("Paused: work is paused")
            client.resume_plan("x")
            program.expect("Resumed: work is running")
            server.advance(minutes=25)
            program.expect("work has fired.*\n.*rest is running")
            assert (tmp_path / "has run").exists()
            client.delete_plan("x")
            program.expect("rest was cancelled")
            program.expect("timer: plan 'x' was removed")
            assert program.wait() == 3

    def test_a_terminal_shows_the_step_its_round_and_the_time_to_go(self, server: TimerServer, tmp_path: Path) -> None:
        with closing(
            started(server, tmp_path, "run", "wörk=25m", "r\x1b=5m", "--times", "2", terminal=True)
        ) as program:
            program.expect(r"wörk 1/2 .*━.* 0:2[45]:")
            server.advance(minutes=25)
            program.expect("wörk 1/2 has fired at [^\a]*\a")
            program.expect(r"r\\x1b 1/2 .*━.* 0:0[45]:")
            server.advance(minutes=35)
            program.expect(r"is finished")
            assert program.wait() == 0


class TestPlan:
    def test_ls_and_show(self, command: Command, client: TimerClient) -> None:
        assert command("plan", "ls").stdout == ""
        client.put_plan("standup", cron="0 9 * * 1-5", zone="Europe/Rome", label="up\x1b[2J")
        client.put_plan("drink", every={"hours": 1}, paused=True)
        assert command("plan", "ls").stdout == (
            "drink\tpaused\t\tevery 1 hour\n"
            "standup\tactive\t2030-04-01T12:30:00.000+05:30\t0 9 * * 1-5 in Europe/Rome\tup\\x1b[2J\n"
        )
        assert command("plan", "ls", "--prefix", "s", "--json").stdout.count("\n") == 1
        told = command("plan", "show", "standup").stdout
        assert "counts    0 fired, 0 cancelled, 0 skipped, 0 missed\n" in told
        assert told.endswith("  Fri 2030-04-05 09:00:00 +02:00\n")

    def test_changes(self, command: Command, client: TimerClient) -> None:
        client.put_plan("drink", every={"hours": 1})
        assert command("plan", "pause", "drink").stdout == (
            "Plan drink is paused: every 1 hour.\nNext: nothing until it is resumed.\n"
        )
        ran = command("plan", "skip", "drink")
        assert (ran.exit_code, ran.stdout) == (1, "")
        assert "paused" in ran.stderr
        assert "  Fri 2030-03-29 18:30:00 +05:30\n" in command("plan", "resume", "drink").stdout
        assert "  Fri 2030-03-29 18:30:00 +05:30\n" not in command("plan", "skip", "drink").stdout
        assert command("plan", "run", "drink").stdout.startswith("drink~20300329T120000Z\t")
        assert json.loads(command("plan", "run", "drink", "--json").stdout)["plan"] == "drink"
        ran = command("plan", "rm", "drink", "nope")
        assert (ran.exit_code, ran.stdout) == (1, "Plan drink was removed.\n")
        assert command("plan", "rm", "drink", "--json").stdout == '{"plan":"drink","deleted":false}\n'
        assert client.plans() == []

    def test_preview(self, command: Command, client: TimerClient) -> None:
        cron = ("plan", "preview", "cron", "30 2 * * *", "--zone", "Europe/Rome", "--count", "2")
        assert command(*cron).stdout == "Sat 2030-03-30 02:30:00 +01:00\nSun 2030-03-31 03:00:00 +02:00\n"
        assert [json.loads(line)["local"] for line in command(*cron, "--json").stdout.splitlines()] == [
            "2030-03-30T02:30:00+01:00",
            "2030-03-31T03:00:00+02:00",
        ]
        steps = ("plan", "preview", "run", "work=25m", "rest=5m", "--times", "2", "--last", "long=15m")
        assert [line[15:20] for line in command(*steps).stdout.splitlines()] == ["17:55", "18:00", "18:25", "18:40"]
        later = ("plan", "preview", "every", "12h", "--from", "2030-04-01T00:00:00Z", "--count", "1")
        assert command(*later).stdout == "Mon 2030-04-01 05:30:00 +05:30\n"
        assert client.plans() == []

    def test_ids_are_completed(self, client: TimerClient, server: TimerServer) -> None:
        for plan in ("drink", "dream", "standup"):
            client.put_plan(plan, every={"hours": 1}, label=f"a {plan}")
        context = root.make_context("timer", ["--server", server.server, "plan"], resilient_parsing=True)
        found: Any = complete_plan_id(context, root.params[0], "dr")
        assert [(each.value, each.help) for each in found] == [("dream", "active a dream"), ("drink", "active a drink")]
