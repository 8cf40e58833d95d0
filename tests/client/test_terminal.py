"""The command `timer` on a real terminal: questions, progress bar, bell, Ctrl-C."""

import contextlib
import re
import signal
import time
from pathlib import Path

import pytest

from client.command import LIMIT_S, environment, run, running
from drivers.program import LoadedProgram, Program
from drivers.server_process import ServerProcess
from local_server import LocalServer

BELL = "\a"


def test_the_seed_dialogue(server: LocalServer, tmp_path: Path) -> None:
    with running(tmp_path, "start", server=server, terminal=True) as program:
        program.expect(r"Enter your time in hours\.")
        program.send("0\n")
        program.expect(r"Enter your time in minutes\.")
        program.send("soon\n")
        program.expect("'soon' is no number")
        program.expect(r"Enter your time in minutes\.")
        program.send("\n")
        program.expect(r"Enter your time in seconds\.")
        program.send("1\n")
        program.expect(r"Server: 0 hours, 0 minutes, 1 second, timer [0-9a-f-]{36}")
        program.expect("━.* 0:00:01")
        program.expect("has fired")
        program.expect(BELL)
        assert program.wait() == 0


def test_no_time_at_all_is_asked_again(server: LocalServer, tmp_path: Path) -> None:
    with running(tmp_path, "start", server=server, terminal=True) as program:
        for _ in range(3):
            program.expect("Enter your time in")
            program.send("0\n")
        program.expect("no time at all")
        program.expect(r"Enter your time in hours\.")
        _interrupt(program, "Nothing was started")
        assert program.wait() == -signal.SIGINT


def _interrupt(program: Program, expected: str) -> None:
    """Presses Ctrl-C until it is heard: one that comes just before Python waits for a line is noticed after it."""
    ends_s = time.monotonic() + LIMIT_S
    while time.monotonic() < ends_s:
        program.send("\x03")
        with contextlib.suppress(AssertionError):
            program.expect(expected, limit_s=1)
            return
    raise AssertionError(f"no {expected!r} after Ctrl-C:\n{program.output}")


def test_ctrl_c_leaves_the_countdown_and_not_the_timer(server: LocalServer, tmp_path: Path) -> None:
    with running(
        tmp_path, "start", "1h", "--id", "order/42", "--label", "tea", server=server, terminal=True
    ) as program:
        program.expect("tea .*━.*0:59:59")
        program.send("\x03")
        program.expect("timer watch order/42")
        assert program.wait() == -signal.SIGINT
        assert BELL not in program.output
        assert "\x1b[?25h" in program.output, "the cursor is shown again"
    assert run(tmp_path, "get", "order/42", server=server).stdout.split("\t")[1] == "running"


def test_what_others_do_is_seen(server: LocalServer, tmp_path: Path) -> None:
    run(tmp_path, "start", "1h", "--id", "a", "--detach", server=server)
    with running(tmp_path, "watch", "a", server=server, terminal=True) as program:
        program.expect("a .*━.*(1:00:00|0:59:59)")
        run(tmp_path, "extend", "a", "1h", server=server)
        program.expect("2:00:00|1:59:")
        run(tmp_path, "pause", "a", server=server)
        program.expect("paused (2:00:00|1:59:)")
        run(tmp_path, "cancel", "a", server=server)
        program.expect("Timer a was cancelled")
        assert program.wait() == 3
        assert BELL not in program.output


def test_a_crash_of_the_server_is_seen_and_survived(server_process: ServerProcess, tmp_path: Path) -> None:
    with running(tmp_path, "start", "3", "--id", "a", server=server_process, terminal=True) as program:
        program.expect("a .*━")
        server_process.kill()
        program.expect(r"waiting for tcp://[\d.:]+ \(try \d+\)")
        server_process.start()
        program.expect("has fired")
        assert program.wait() == 0


def test_labels_of_others_do_not_reach_the_terminal(server: LocalServer, tmp_path: Path) -> None:
    label = "\x1b]0;owned\x07 [bold]tea[/bold] \x9b31m"
    run(tmp_path, "start", "1h", "--id", "a", "--detach", "--label", label, server=server)
    with running(tmp_path, "list", server=server, terminal=True) as program:
        assert program.wait() == 0
        assert r"\x1b]0;owned\x07 [bold]tea[/bold]" in program.output
        assert "\x1b]0" not in program.output
    with running(tmp_path, "watch", "a", server=server, terminal=True) as program:
        program.expect(re.escape(r"\x1b]0;owned\x07 [bold]tea"))
        program.send("\x03")
        assert program.wait() == -signal.SIGINT
        assert "\x1b]0" not in program.output


@pytest.mark.parametrize("kind", ["dumb", "unknown"])
def test_a_terminal_without_control_codes_gets_plain_lines(server: LocalServer, tmp_path: Path, kind: str) -> None:
    for command, told in (
        (["start", "4", "--id", "a"], r"Timer a is running: 0:00:0\d to go.*0:00:01 to go.*Timer a has fired"),
        (["list", "--all"], "fired"),
    ):
        program = LoadedProgram(["timer", *command], environment(server, TERM=kind), tmp_path, terminal=True)
        with contextlib.closing(program):
            program.expect(f"(?s){told}")
            assert program.wait() == 0
            assert "\x1b" not in program.output


def test_several_are_watched_at_once(server: LocalServer, tmp_path: Path) -> None:
    for name, amount in (("eggs", "4"), ("oven", "1h")):
        run(tmp_path, "start", amount, "--id", name, "--detach", server=server)
    with running(tmp_path, "watch", "eggs", "oven", server=server, terminal=True) as program:
        program.expect("oven .*━.*(1:00:00|0:59:)")
        program.expect("Timer eggs has fired")
        program.expect(BELL)
        program.expect("oven .*━.*0:59:5")
        program.send("\x03")
        program.expect("timer watch eggs oven")
        assert program.wait() in (130, -2)
        assert "\x1b[?25h" in program.output, "the cursor is shown again"


def test_list_is_a_table(server: LocalServer, tmp_path: Path) -> None:
    for name in ("order/1", "x" * 90):
        run(tmp_path, "start", "1h", "--id", name, "--detach", server=server)
    with running(tmp_path, "list", server=server, terminal=True) as program:
        assert program.wait() == 0
        plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", program.output)
        assert plain.split()[:6] == ["id", "state", "to", "go", "until", "label"]
        assert "x" * 90 in plain


def test_a_sentence_on_a_terminal(server: LocalServer, tmp_path: Path) -> None:
    with running(
        tmp_path, "start", "1h", "--id", "a", "--label", "tea", "--detach", server=server, terminal=True
    ) as program:
        program.expect(r"tea \(a\) is running: 1:00:00 to go, until ")
        assert program.wait() == 0
