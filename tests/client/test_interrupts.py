"""Ctrl-C and SIGTERM end a command, which then dies of the signal."""

import shutil
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from client.command import COMMAND, LIMIT_S, Server, environment, run, running
from drivers.program import Program
from local_server import LocalServer

BOTH = [signal.SIGINT, signal.SIGTERM]


def _start(folder: Path, server: Server) -> None:
    assert run(folder, "start", "1h", "--id", "a", "--detach", server=server).returncode == 0


def _interrupt(program: Program, told: str, press: str | signal.Signals = "\x03") -> None:
    """Presses until it is heard.

    Python drops the exception of a signal that comes within a callback of a weak reference, and notices one that comes
    just before it waits for a line only after it.
    """
    for _ in range(6):
        if isinstance(press, str):
            program.send(press)
        else:
            program.signal(press)
        if program.tells(told, limit_s=2.5):
            return
    raise AssertionError(f"no {told!r} after it:\n{program.output}")


@pytest.mark.parametrize("number", BOTH)
def test_it_detaches_and_tells_the_way_back(server: LocalServer, tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path, "--server", server.commands, "start", "1h", "--id", "-a", server=server) as program:
        program.expect("is running")
        way_back = f"the timer goes on. To come back: timer --server {server.commands} watch -- -a"
        _interrupt(program, way_back, number)
        assert program.wait() == -number
    assert run(tmp_path, "get", "--", "-a", server=server).stdout.split("\t")[1] == "running"


@pytest.mark.parametrize("number", BOTH)
def test_it_ends_events(server: LocalServer, tmp_path: Path, number: signal.Signals) -> None:
    _start(tmp_path, server)
    with running(tmp_path, "events", "--after", "start", server=server) as program:
        program.expect("started")
        program.signal(number)
        assert program.wait() == -number
        assert "Traceback" not in program.output


@pytest.mark.parametrize("arguments", [("events", "--after", "start"), ("watch", "a")])
def test_sigterm_ends_a_command_whose_shell_ignores_ctrl_c(
    server: LocalServer, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """As a background job of a script has it."""
    _start(tmp_path, server)
    ignoring = ["/bin/sh", "-c", "trap '' INT; exec \"$@\"", "sh"]
    program = Program([*ignoring, *COMMAND, *arguments], environment(server), tmp_path)
    with closing(program):
        program.expect("started|is running")
        program.signal(signal.SIGTERM)
        assert program.wait() == -signal.SIGTERM


@pytest.mark.skipif(shutil.which("bash") is None, reason="the loop is one of bash")
@pytest.mark.parametrize(
    ("arguments", "begun", "told"),
    [
        (("start", "1h"), "━", "the timer goes on"),
        (("start",), "in hours", "Nothing was started"),
        (("events", "--after", "start"), "started", r"\^C"),
    ],
)
def test_it_ends_the_loop_of_a_shell(
    server: LocalServer, tmp_path: Path, arguments: tuple[str, ...], begun: str, told: str
) -> None:
    _start(tmp_path, server)
    loop = ["bash", "-c", 'for round in 1 2 3; do "$@" && echo next; echo "after round $round"; done', "bash"]
    program = Program([*loop, *COMMAND, *arguments], environment(server), tmp_path, terminal=True)
    with closing(program):
        program.expect(begun)
        _interrupt(program, told)
        assert program.wait() == -signal.SIGINT
        assert "after round" not in program.output


def test_a_shell_sees_130(server: LocalServer, tmp_path: Path) -> None:
    """One that handles Ctrl-C itself, and so goes on."""
    shell = ["/bin/sh", "-c", 'trap : INT; "$@"; echo "exit code $?"', "sh"]
    program = Program([*shell, *COMMAND, "start", "1h"], environment(server), tmp_path, terminal=True)
    with closing(program):
        program.expect("━")
        _interrupt(program, "exit code 130")
        assert program.wait() == 0


def test_the_end_of_input_at_a_question_is_no_interrupt(server: LocalServer, tmp_path: Path) -> None:
    with running(tmp_path, "start", server=server, terminal=True) as program:
        program.expect("in hours")
        program.send("\x04")
        program.expect("Nothing was started")
        assert program.wait() == 2


def test_where_the_signal_has_no_effect_its_exit_code_is_left() -> None:
    """The first process of a container is spared."""
    code = (
        "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})\n"
        "from timer_client.cli.interrupts import die_of\ndie_of(signal.SIGINT)"
    )
    ran = subprocess.run([sys.executable, "-c", code], env=environment(), timeout=LIMIT_S, check=False)
    assert ran.returncode == 130
