"""Tab, typed in each of the shells."""

import os
import shutil
import signal
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

# In place of running the line it shows the arguments that the line has.
WHAT_IS_COMPLETED = """#!/bin/sh
if [ "$1" = completion ] || [ -n "$_TIMER_COMPLETE" ]; then exec {command} "$@"; fi
printf "<%s>" "$@"; echo
"""


@contextmanager
def _typing(shell: str, folder: Path, server: LocalServer) -> Iterator[Program]:
    """A shell that completes the command `timer`."""
    command, setup = SHELLS[shell]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{shell} is not installed")
    programs = folder / "bin"
    programs.mkdir()
    timer = programs / "timer"
    timer.write_text(WHAT_IS_COMPLETED.format(command=f"{sys.executable} -m timer_client"))
    timer.chmod(0o755)
    variables = environment(server, PATH=f"{programs}:{os.environ['PATH']}", HOME=str(folder), TERM="xterm")
    program = Program(command, variables, folder, terminal=True)
    try:
        program.send(f'{setup}; echo set "up"\n')
        program.expect("set up")
        yield program
    finally:
        program.signal(signal.SIGHUP)  # an interactive shell ignores SIGTERM
        program.close()


@pytest.mark.parametrize(
    "shell", ["bash", *(pytest.param(shell, marks=pytest.mark.thorough) for shell in ("zsh", "fish"))]
)
def test_tab_completes_commands_options_and_ids(shell: str, server: LocalServer, tmp_path: Path) -> None:
    for timer_id in IDS:
        run(tmp_path, "start", "1h", "--id", timer_id, "--label", "tea: green", "--detach", server=server)
    with _typing(shell, tmp_path, server) as program:
        for typed, completed in (
            ("inf\t --js\t", "<info><--json>"),
            ("get order:4\t", "<get><order:42>"),
            ("get order/\t", "<get><order/7>"),
            ("get a:b:\t", "<get><a:b:c>"),
        ):
            program.send(f"timer {typed}\n")
            program.expect(completed)
