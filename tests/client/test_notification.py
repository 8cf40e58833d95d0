"""`timer start --notify`: by notify-send, else by the terminal, and never at the cost of the exit code."""

import re
from contextlib import closing
from pathlib import Path

import pytest

from client.command import environment, run
from client.fake_server import FakeServer, timer
from drivers.program import LoadedProgram
from local_server import LocalServer
from timer_client.cli.notification import terminal_code

START = ["start", "0.05", "--id", "t", "--notify", "--label", "4;1;<b>\x1b]0;x\a"]
SHOWN = r"4;1;<b>\x1b]0;x\x07"


def _notify_send(folder: Path, text: str) -> str:
    """A PATH with a `notify-send` in front."""
    path = folder / "notify-send"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


def test_notify_send_is_asked_where_there_is_one(server: LocalServer, tmp_path: Path) -> None:
    path = _notify_send(tmp_path, 'printf "%s\\n" "$@" >shown; cat')
    ran = run(tmp_path, *START, server=server, PATH=path)
    assert (ran.returncode, ran.stderr) == (0, "")
    *words, text = (tmp_path / "shown").read_text().splitlines()
    assert words == ["--app-name=timer", "--", SHOWN]
    assert re.fullmatch(r"Timer has fired at \d\d:\d\d:\d\d", text)


@pytest.mark.parametrize("text", ["exit 1", "kill -KILL $$", None])
def test_one_that_fails_is_told_and_changes_no_exit_code(fake: FakeServer, tmp_path: Path, text: str | None) -> None:
    path = str(tmp_path) if text is None else _notify_send(tmp_path, text)
    ran = run(tmp_path, *START, server=fake, PATH=path)
    assert ran.returncode == 0
    assert ran.stderr == "timer: no notification was shown: that takes notify-send, or a terminal with its own\n"


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_the_terminal_shows_it_and_rings_once(server: LocalServer, tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "sh").symlink_to("/bin/sh")
    variables = environment(server, TERM="xterm-kitty", PATH=str(tmp_path))
    program = LoadedProgram(["timer", *START, *options], variables, tmp_path, terminal=True)
    with closing(program):
        assert program.wait() == 0
    (code,) = re.findall(r"\x1b\]([^\x1b\a]*)\x1b\\", program.output)
    assert code.startswith(r"9;Timer: 4,1,<b>\x1b]0,x\x07 (t) has fired at ")
    assert program.output.count("\a") == 1


@pytest.mark.parametrize(
    ("variables", "begins"),
    [
        ({"TERM": "xterm-256color"}, ""),
        ({}, ""),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "\x1b]9;Timer: "),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "\x1b]9;Timer: "),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"}, ""),
        ({"TERM": "xterm-ghostty"}, "\x1b]9;Timer: "),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, "\x1b]9;Timer: "),
        ({"TERM": "foot-extra"}, "\x1b]777;notify;Timer;Timer: "),
        ({"TERM": "rxvt-unicode-256color"}, "\x1b]777;notify;Timer;Timer: "),
        ({"TERM": "screen-256color", "KITTY_WINDOW_ID": "1"}, ""),
        ({"TERM": "tmux-256color", "TERM_PROGRAM": "tmux", "KITTY_WINDOW_ID": "1"}, ""),
        ({"TERM": "dumb", "TERM_PROGRAM": "WezTerm"}, ""),
    ],
)
def test_only_terminals_that_are_known_to_have_them(variables: dict[str, str], begins: str) -> None:
    code = terminal_code(timer(state="fired", label="\x1b\\;\x9c\a\u202e"), variables)
    assert code.startswith(begins)
    assert bool(code) == bool(begins)
    inner = code.removeprefix("\x1b").removesuffix("\x1b\\")
    assert inner.isprintable()
