"""Tab, typed in each of the shells."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from client.command import environment, run
from drivers.program import Program
from local_server import LocalServer

IDS = ("order:42", "order/7", "a:b:c")

SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], 'eval "$(timer completion bash)"'),
    "zsh": (["zsh", "-f", "-i"], 'autoload -Uz compinit; compinit -u -D; eval "$(timer completion zsh)"'),
    "fish": (["fish", "--no-config", "-i"], "timer completion fish | source"),
}


@contextmanager
def _typing(shell: str, folder: Path, server: LocalServer) -> Iterator[Program]:
    """A shell that completes the command `timer`."""
    command, setup = SHELLS[shell]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{shell} is not installed")
    programs = folder / "bin"
    programs.mkdir()
    timer = programs / "timer"
    timer.write_text(f'#!/bin/sh\nexec {sys.executable} -m timer_client "$@"\n')
    timer.chmod(0o755)
    variables = environment(server, PATH=f"{programs}:{os.environ['PATH']}", HOME=str(folder), TERM="xterm")
    program = Program(command, variables, folder, terminal=True)
    try:
        program.send(f'{setup}; echo set "up"\n')
        program.expect("set up")
        yield program
    finally:
        program.close()


@pytest.mark.parametrize("shell", SHELLS)
def test_tab_completes_ids(shell: str, server: LocalServer, tmp_path: Path) -> None:
    for timer_id in IDS:
        run(tmp_path, "start", "1h", "--id", timer_id, "--label", "tea: green", "--detach", server=server)
    with _typing(shell, tmp_path, server) as program:
        for typed, timer_id in (
            ("order:", "order:42"),
            ("order:4", "order:42"),
            ("order/", "order/7"),
            ("a", "a:b:c"),
            ("a:b:", "a:b:c"),
        ):
            program.send(f"timer get {typed}\t")
            program.expect(rf"get {typed}[^\n]*{timer_id.removeprefix(typed)}")
            program.send("\n")
            # The line that the command prints: with the rest left out, there is no such timer.
            program.expect(rf"tea: green \({timer_id}\) is running")


@pytest.mark.parametrize("shell", SHELLS)
def test_tab_completes_commands_and_options(shell: str, server: LocalServer, tmp_path: Path) -> None:
    with _typing(shell, tmp_path, server) as program:
        program.send("timer inf\t --js\t\n")
        program.expect('"protocol":"timer/1"')
