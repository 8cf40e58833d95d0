"""The command `timer` off a terminal: plain lines, JSON, exit codes."""

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from client.command import CONTROLS, environment, json_lines, run, running, start_detached
from drivers.server_process import ServerProcess
from local_server import LocalServer
from timer_client import TimerClient
from timer_client.cli import COMMANDS, root
from timer_client.cli.options import FILE_OPTIONS, texts
from timer_protocol import __version__


def test_the_seed_dialogue_with_piped_answers(server: LocalServer, tmp_path: Path) -> None:
    ran = run(tmp_path, "start", server=server, answers="0\n0\n1\n")
    assert ran.returncode == 0
    lines = ran.stdout.splitlines()
    assert lines[:3] == [
        "Enter your time in hours. 0",
        "Enter your time in minutes. 0",
        "Enter your time in seconds. 1",
    ]
    assert re.fullmatch(r"Server: 0 hours, 0 minutes, 1 second, timer [0-9a-f-]{36}", lines[3])
    assert "is running: 0:00:01 to go" in lines[4]
    assert re.fullmatch(r"Timer [0-9a-f-]{36} has fired at [\d:]+\.", lines[-1])
    assert ran.stderr == ""
    assert not any(control in ran.stdout for control in CONTROLS)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ("0\nx\n3\n", "'x' is no number"),
        ("-1\n0\n3\n", "-1 is negative"),
        ("0\n0\n0\n", "more than zero"),
        ("0\n0\n", "The input ended"),
        ("", "The input ended"),
    ],
)
def test_piped_answers_that_make_no_sense(server: LocalServer, tmp_path: Path, answers: str, reason: str) -> None:
    ran = run(tmp_path, "start", server=server, answers=answers)
    assert ran.returncode == 2
    assert reason in ran.stderr


def test_start_as_json(server: LocalServer, tmp_path: Path) -> None:
    ran = run(tmp_path, "start", "0.3", "--json", "--label", "tea", "--payload", '{"a": 1}', "--id", "x", server=server)
    first, last = json_lines(ran.stdout)
    assert (first["state"], last["state"], last["id"], last["label"]) == ("running", "fired", "x", "tea")
    assert last["payload"] == {"a": 1}


def test_the_questions_stay_out_of_json(server: LocalServer, tmp_path: Path) -> None:
    ran = run(tmp_path, "start", "--json", "--detach", server=server, answers="0\n5\n0\n")
    assert [timer["duration_ms"] for timer in json_lines(ran.stdout)] == [300_000]
    assert "Enter your time in hours." in ran.stderr


def test_changes(server: LocalServer, tmp_path: Path) -> None:
    start_detached(tmp_path, server, "1h", "--id", "order/42")

    def shown(*arguments: str) -> list[str]:
        ran = run(tmp_path, *arguments, server=server)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.rstrip("\n").split("\t")

    timer_id, state, seconds = shown("pause", "order/42")  # without a label there is no tab after them
    assert (timer_id, state) == ("order/42", "paused")
    assert 3500 < float(seconds) <= 3600
    assert float(shown("extend", "order/42", "-30s")[2]) == pytest.approx(float(seconds) - 30)
    assert float(shown("extend", "order/42", "0", "1", "0")[2]) == pytest.approx(float(seconds) + 30)
    assert shown("resume", "order/42")[1] == "running"
    assert shown("get", "order/42")[1] == "running"
    assert shown("cancel", "order/42")[1] == "cancelled"
    assert shown("restart", "order/42")[1] == "running"
    (timer,) = json_lines(run(tmp_path, "get", "order/42", "--json", server=server).stdout)
    assert timer["id"] == "order/42"


def test_watching_several(server: LocalServer, tmp_path: Path) -> None:
    with TimerClient(server.commands, server.events) as client:
        for name, amount_s in (("oven", 3600), ("cake", 3600), ("eggs", 6)):
            client.start(seconds=amount_s, id=name)
        client.cancel("cake")
    with running(tmp_path, "watch", "eggs", "oven", "cake", "oven", server=server) as program:
        program.expect("Timer oven is running")
        program.expect("Timer eggs has fired")
        run(tmp_path, "extend", "oven", "5", server=server)
        program.expect("Extended: Timer oven")
        run(tmp_path, "cancel", "oven", server=server)
        program.expect("Timer oven was cancelled")
        assert program.wait() == 3
        assert program.has_written("Timer cake was cancelled")
        assert program.has_written(r"Timer eggs: 0:00:0\d to go")
        assert program.output.count("Timer oven was cancelled") == 1
    ran = run(tmp_path, "watch", "oven", "nobody", server=server)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "timer 'nobody' is not there" in ran.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["get", ""],
        ["pause", ""],
        ["pause", "a", ""],
        ["watch", ""],
        ["extend", "", "5m"],
        ["start", "1h", "--id", ""],
        ["start", "1h", "--id", "a b"],
        ["start", "1h", "--id", "a" * 129],
        ["start", "1h", "--label", "a" * 257],
        ["list", "--prefix", "a" * 129],
        ["cron", "0 9 * * *", "--zone", "Mars/Rome"],
        ["start", "@9:00", "--zone", "Mars/Rome"],
    ],
)
def test_what_is_wrong_with_an_argument_is_exit_code_2_and_in_its_words(
    server: LocalServer, tmp_path: Path, words: list[str]
) -> None:
    start_detached(tmp_path, server, "1h", "--id", "a")
    ran = run(tmp_path, *words, server=server)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert not re.search(r"params|takes|`str`|timer\.\w", ran.stderr), ran.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["strat", "5m"], "There is no command 'strat'. Did you mean start?"),
        (["25m"], "There is no command '25m'. Did you mean `timer start 25m`?"),
        (["@14:30"], "There is no command '@14:30'. Did you mean `timer start @14:30`?"),
        (["tea"], "There is no command 'tea'. `timer --help` lists those there are."),
        (["queue", "pt"], "Did you mean 'put'?"),
        (["--nope", "start"], "No such option '--nope'."),
    ],
)
def test_a_command_that_is_none_is_guessed(tmp_path: Path, words: list[str], told: str) -> None:
    ran = run(tmp_path, *words)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert told in ran.stderr


def test_events(server: LocalServer, tmp_path: Path) -> None:
    start_detached(tmp_path, server, "1h", "--id", "order/1")
    start_detached(tmp_path, server, "1h", "--id", "tea")
    run(tmp_path, "cancel", "order/1", server=server)
    ran = run(tmp_path, "events", "--after", "start", "--count", "3", server=server)
    rows = [line.split("\t") for line in ran.stdout.splitlines()]
    log = rows[0][0].partition(":")[0]
    assert [(row[0], row[2], row[3]) for row in rows] == [
        (f"{log}:1", "started", "order/1"),
        (f"{log}:2", "started", "tea"),
        (f"{log}:3", "cancelled", "order/1"),
    ]
    ran = run(tmp_path, "events", "order/", "--after", rows[0][0], "--count", "1", "--json", server=server)
    (event,) = json_lines(ran.stdout)
    assert (event["log"], event["seq"], event["kind"]) == (log, 3, "cancelled")


def test_events_of_another_log(server: LocalServer, tmp_path: Path) -> None:
    start_detached(tmp_path, server, "1h", "--id", "a")
    with running(tmp_path, "events", "--after", "another:99", "--count", "1", server=server) as program:
        program.expect("timer: some of the events after another:99 are gone; going on after [^ ]+:1;")
        start_detached(tmp_path, server, "1h", "--id", "b")
        program.expect(":2\t.*\tstarted\tb")
        assert program.wait() == 0


def test_info(server: LocalServer, tmp_path: Path) -> None:
    lines = run(tmp_path, "info", server=server).stdout.splitlines()
    assert ["version", __version__] in [line.split() for line in lines]
    (info,) = json_lines(run(tmp_path, "info", "--json", server=server).stdout)
    assert info["protocol"] == "timer/1"
    ((log, standing),) = info["logs"].items()
    assert [line.split()[:5] for line in lines if log in line] == [
        ["log", log, "last", "event", f"{standing['seq']},"],
        ["cursor", f"{log}:{standing['seq']}"],
    ]


def test_a_cancelled_timer_is_exit_code_3(server: LocalServer, tmp_path: Path) -> None:
    with running(tmp_path, "start", "1h", "--id", "a", server=server) as program:
        program.expect("is running")
        run(tmp_path, "extend", "a", "1h", server=server)
        program.expect(r"Extended: Timer a is running: (2:00:00|1:59:59) to go")
        run(tmp_path, "pause", "a", server=server)
        program.expect("Paused: Timer a is paused with (2:00:00|1:59:)")
        run(tmp_path, "resume", "a", server=server)
        program.expect("Resumed: Timer a is running")
        run(tmp_path, "cancel", "a", server=server)
        program.expect("Timer a was cancelled at")
        assert program.wait() == 3


def test_watching_one_that_has_ended(server: LocalServer, tmp_path: Path) -> None:
    start_detached(tmp_path, server, "1h", "--id", "a")
    run(tmp_path, "cancel", "a", server=server)
    ran = run(tmp_path, "watch", "a", server=server)
    assert ran.returncode == 3
    assert re.fullmatch(r"Timer a was cancelled at [\d:]+\.\n", ran.stdout)


def test_watching_as_json(server: LocalServer, tmp_path: Path) -> None:
    start_detached(tmp_path, server, "1h", "--id", "a")
    with running(tmp_path, "watch", "a", "--json", server=server) as program:
        program.expect('"state":"running"')
        run(tmp_path, "pause", "a", server=server)
        program.expect('"state":"paused"')
        run(tmp_path, "cancel", "a", server=server)
        program.expect('"state":"cancelled"')
        assert program.wait() == 3
        assert [timer["state"] for timer in json_lines(program.output)] == ["running", "paused", "cancelled"]


def test_what_the_server_refuses_is_exit_code_1(server: LocalServer, tmp_path: Path) -> None:
    for command in ("get", "watch", "cancel"):
        ran = run(tmp_path, command, "nobody", server=server)
        assert ran.returncode == 1
        assert ran.stdout == ""
        assert re.fullmatch(
            r"timer: timer 'nobody' is not there.* The command `list` shows those there are\.\n", ran.stderr
        )


def test_a_server_out_of_reach_is_exit_code_4(tmp_path: Path) -> None:
    for command in (["start", "1"], ["info"], ["watch", "a"], ["events"]):
        ran = run(tmp_path, *command, TIMER_RETRY_DEADLINE_S="0.3")
        assert ran.returncode == 4
        waiting, giving_up = ran.stderr.splitlines()
        assert waiting.startswith("timer: waiting for tcp://127.0.0.1:1, for up to 0.3 s (try 1: ")
        assert giving_up.startswith("timer: the server at tcp://127.0.0.1:1 could not be reached: tried ")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TIMER_SERVER", "nowhere"),
        ("TIMER_EVENTS", "tcp://x"),
        ("TIMER_TIMEOUT_S", "0"),
        ("TIMER_RETRY_DEADLINE_S", "-1"),
        ("TIMER_RETRY_MIN_S", "x"),
        ("TIMER_RETRY_MAX_S", "1e9"),
    ],
)
def test_a_wrong_setting_is_one_sentence_and_exit_code_2(tmp_path: Path, variable: str, value: str) -> None:
    ran = run(tmp_path, "info", **{variable: value})
    assert ran.returncode == 2
    assert ran.stdout == ""
    (line,) = ran.stderr.splitlines()
    assert line.startswith(f"timer: {variable} is '{value}', but must be ")


def test_an_env_file_in_the_working_directory_is_read(server: LocalServer, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"TIMER_SERVER={server.commands}\n")
    assert run(tmp_path, "info", TIMER_SERVER="").returncode == 0


def test_options_stand_before_or_after_the_command(server: LocalServer, tmp_path: Path) -> None:
    assert run(tmp_path, "--server", server.commands, "info").returncode == 0
    assert run(tmp_path, "info", "--server", server.commands).returncode == 0
    assert run(tmp_path, "--server", "tcp://127.0.0.1:2", "info", "--server", server.commands).returncode == 0
    ran = run(tmp_path, "--timeout", "x", "info")
    assert ran.returncode == 2
    assert ran.stderr.startswith("timer: --timeout is 'x', but must be")


def test_a_watch_survives_a_crash_of_the_server(server_process: ServerProcess, tmp_path: Path) -> None:
    with running(tmp_path, "start", "2", "--id", "a", server=server_process) as program:
        program.expect("is running")
        server_process.kill()
        program.expect("waiting for tcp")
        server_process.start()
        program.expect("has fired")
        assert program.wait() == 0


def test_help_shows_the_variables(tmp_path: Path) -> None:
    ran = run(tmp_path, "--help")
    assert ran.returncode == 0
    for name in (
        "TIMER_SERVER",
        "TIMER_EVENTS",
        "TIMER_TIMEOUT_S",
        "TIMER_RETRY_DEADLINE_S",
        "TIMER_RETRY_MIN_S",
        "TIMER_RETRY_MAX_S",
    ):
        assert name in ran.stdout
    assert run(tmp_path, "--version").stdout == f"timer {__version__}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_listed_as_it_describes_itself(name: str) -> None:
    command = root.get_command(root.make_context("timer", [name], resilient_parsing=True), name)
    assert command is not None
    assert command.name == name
    assert command.get_short_help_str(limit=100) == COMMANDS[name][1]


def test_every_option_that_takes_a_file_may_be_any_bytes() -> None:
    commands = [root.get_command(root.make_context("timer", [name], resilient_parsing=True), name) for name in COMMANDS]
    taking_a_file = {
        option
        for command in commands
        if command is not None
        for parameter in command.params
        if isinstance(parameter.type, click.Path)
        for option in parameter.opts
    }
    assert taking_a_file == FILE_OPTIONS
    assert texts(["--folder", "k\udcff", "--cursor-file=\udcff", "caf\udcc3\udca9"])[-1] == "café"


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["--help"], {"zmq", "rich", "tenacity", "asyncio", "dotenv"}),
        (["start", "1h", "--detach"], {"rich", "asyncio"}),
    ],
)
def test_libraries_are_not_imported_for_nothing(server: LocalServer, arguments: list[str], heavy: set[str]) -> None:
    code = (
        f"import sys\nfrom timer_client.cli import root\nroot.main({arguments}, standalone_mode=False)\n"
        f"print({heavy} & set(sys.modules), file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment(server), capture_output=True, text=True, check=True
    )
    assert ran.stderr == "set()\n"


UNSAFE = "".join(map(chr, (*range(0x20), *range(0x7F, 0xA0), *range(0x2028, 0x202F), *range(0x2060, 0x2070))))
UNSAFE += "\xad\u061c\u200b\u200e\u200f\ufeff\ue000\U000e0041"


def test_no_output_has_what_a_terminal_obeys(server: LocalServer, tmp_path: Path) -> None:
    with TimerClient(server.commands, server.events) as client:
        client.start(hours=1, id="a", label=f"tea{UNSAFE}\xa0", payload={UNSAFE: [UNSAFE]})
        client.cancel("a")
    for command in (
        ["get", "a"],
        ["list", "--all"],
        ["watch", "a"],
        ["events", "--after", "start", "--count", "2"],
        ["get", UNSAFE[1:]],
        ["--server", server.commands, "info"],
    ):
        for options in ([], ["--json"]):
            ran = run(tmp_path, *command, *options, server=server)
            assert not set(ran.stdout + ran.stderr) & set(UNSAFE) - set("\n\t"), command
    assert r"tea\x00\x01" in run(tmp_path, "get", "a", server=server).stdout
    assert r"\x9f\u2028\u2029\u202a" in run(tmp_path, "get", "a", server=server).stdout
    (timer,) = json_lines(run(tmp_path, "get", "a", "--json", server=server).stdout)
    assert (timer["label"], timer["payload"]) == (f"tea{UNSAFE}\xa0", {UNSAFE: [UNSAFE]})
