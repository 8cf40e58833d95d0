"""`timer start 5m -- COMMAND`: what the command is given, and what becomes of its exit code."""

import os
import re
import signal
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from client.command import COMMAND, environment, run, running
from client.fake_server import FakeServer, timer
from drivers.program import LoadedProgram
from local_server import LocalServer
from timer_client.cli import end_command
from timer_client.cli.interrupts import Interrupted
from timer_protocol.environment import OF_AN_END

HEARS = """
import signal
both = {signal.SIGINT, signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, both)
print("runs", flush=True)
signal.sigwait(both)
print("heard", flush=True)
raise SystemExit(7)
"""
DIES = ["sh", "-c", "echo runs; exec sleep 60"]


def _script(folder: Path, text: str, name: str = "at-end") -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_the_command_gets_the_payload_and_the_timer(server: LocalServer, tmp_path: Path) -> None:
    names = " ".join(OF_AN_END)
    script = _script(
        tmp_path, f'for name in {names}; do printenv $name; done >told; cat >payload; printf "%s|" "$@" >words'
    )
    words = ["--json", "two words", "$HOME", "*", "--", "\udcff"]
    ran = run(
        tmp_path,
        *("start", "0.1", "--id", "tea", "--label", "grüner Tee", "--payload", '{"a": [1, "é"]}', "--", script, *words),
        server=server,
    )
    assert ran.returncode == 0, ran.stderr
    assert (
        ran.stderr == f"timer: the command {script} runs when it fires; nothing runs if this client is gone by then\n"
    )
    timer_id, label, state, due_at_ms, late_ms = (tmp_path / "told").read_text().splitlines()
    assert (timer_id, label, state) == ("tea", "grüner Tee", "fired")
    assert int(due_at_ms) > 1_700_000_000_000
    assert 0 <= int(late_ms) < 10_000
    assert (tmp_path / "payload").read_bytes() == '{"a":[1,"é"]}\n'.encode()
    assert (tmp_path / "words").read_bytes() == b"--json|two words|$HOME|*|--|\xff|"


@pytest.mark.parametrize(
    ("script", "code", "told"),
    [
        ("exit 3", 3, "ended with exit code 3"),
        ("exit 127", 127, "ended with exit code 127"),
        ("kill -KILL $$", 137, "was ended by SIGKILL"),
    ],
)
def test_its_exit_code_is_passed_on(fake: FakeServer, tmp_path: Path, script: str, code: int, told: str) -> None:
    path = _script(tmp_path, script)
    ran = run(tmp_path, "start", "1m", "--", path, server=fake)
    assert ran.returncode == code
    assert ran.stderr.endswith(f"\ntimer: the command {path} {told}\n")


@pytest.mark.parametrize("script", ["exit 0", "cat | wc -c | grep -qx 300003"])
def test_a_payload_of_any_size_is_there_to_be_read_or_not(tmp_path: Path, script: str) -> None:
    assert end_command.run([_script(tmp_path, script)], timer(state="fired", payload="x" * 300_000)) == 0


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["no-such-command"], 127, "timer: the command no-such-command cannot be found; nothing was started\n"),
        (["./no/such"], 127, "cannot be found; nothing was started"),
        ([""], 127, "cannot be found; nothing was started"),
        (["./plain"], 126, "timer: the command ./plain is not executable; nothing was started\n"),
        (["plain"], 126, "is not executable; nothing was started"),
        (["./folder"], 126, "is not executable; nothing was started"),
        ([], 2, "after -- comes the command to run when the timer has fired; it is missing"),
    ],
)
def test_what_cannot_run_starts_nothing(
    fake: FakeServer, tmp_path: Path, words: Sequence[str], code: int, told: str
) -> None:
    (tmp_path / "plain").write_text("")
    (tmp_path / "folder").mkdir()
    ran = run(tmp_path, "start", "1m", "--", *words, server=fake, PATH=f"{os.environ['PATH']}:{tmp_path}")
    assert (ran.returncode, ran.stdout) == (code, "")
    assert told in ran.stderr
    assert fake.bodies.empty()


@pytest.mark.parametrize("text", ["#!/no/such/interpreter\n", "\x7fELF\n"])
def test_what_proves_not_to_run_at_the_end_is_told(fake: FakeServer, tmp_path: Path, text: str) -> None:
    (tmp_path / "at-end").write_text(text)
    (tmp_path / "at-end").chmod(0o755)
    ran = run(tmp_path, "start", "1m", "--", "./at-end", server=fake)
    assert ran.returncode == (127 if "interpreter" in text else 126)
    assert re.search(r"\ntimer: the command ./at-end (or its interpreter )?cannot be ", ran.stderr)


@pytest.mark.parametrize("options", [["--detach", "--", "true"], ["--detach", "--notify"]])
def test_nobody_runs_it_for_a_client_that_leaves(fake: FakeServer, tmp_path: Path, options: list[str]) -> None:
    ran = run(tmp_path, "start", "1m", *options, server=fake)
    assert ran.returncode == 2
    assert f"--detach leaves nobody to see to {'--notify' if '--notify' in options else 'the command after --'}" in (
        ran.stderr
    )
    assert fake.bodies.empty()


@pytest.mark.parametrize("options", [["--", "true"], ["--notify"]])
def test_it_is_for_one_timer(fake: FakeServer, tmp_path: Path, options: list[str]) -> None:
    ran = run(tmp_path, "start", "--file", "-", *options, server=fake, answers='{"minutes": 5}\n')
    assert ran.returncode == 2
    assert "--notify and a command after -- do not go with it" in ran.stderr
    assert fake.bodies.empty()


def test_a_timer_that_is_cancelled_or_left_runs_nothing(server: LocalServer, tmp_path: Path) -> None:
    script = _script(tmp_path, "touch has-run")
    with running(tmp_path, "start", "1h", "--id", "a", "--", script, server=server) as program:
        program.expect("a is running")
        run(tmp_path, "cancel", "a", server=server)
        assert program.wait() == 3
    with running(tmp_path, "start", "1h", "--id", "b", "--", script, server=server) as program:
        program.expect("b is running")
        program.signal(signal.SIGTERM)
        program.expect(f"Left; the timer goes on, and the command {script} will not run. To come back: timer watch b")
        assert program.wait() == -signal.SIGTERM
    assert run(tmp_path, "start", "1h", "--id", "a", "--", script, server=server).returncode == 1
    assert not (tmp_path / "has-run").exists()


@pytest.mark.parametrize(
    ("command", "code"), [([sys.executable, "-c", HEARS], 7), (DIES, None)], ids=["it hears it", "it dies"]
)
@pytest.mark.parametrize("by", ["Ctrl-C", "SIGTERM"])
def test_a_signal_is_for_the_command_that_runs(
    fake: FakeServer, tmp_path: Path, by: str, command: list[str], code: int | None
) -> None:
    program = LoadedProgram(["timer", "start", "1m", "--", *command], environment(fake), tmp_path, terminal=True)
    with closing(program):
        program.expect("runs\r\n")
        if by == "Ctrl-C":
            program.send("\x03")
        else:
            program.signal(signal.SIGTERM)
        number = signal.SIGINT if by == "Ctrl-C" else signal.SIGTERM
        assert program.wait() == (-number if code is None else code)
        assert ("heard" in program.output) == (code is not None)


def test_the_signals_are_as_they_were_afterwards(tmp_path: Path) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(Interrupted):
        end_command.run([_script(tmp_path, "kill -INT $$")], timer(state="fired"))
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_command_may_be_timer_itself(server: LocalServer, tmp_path: Path) -> None:
    again = [*COMMAND, "start", "1h", "--detach"]
    ran = run(tmp_path, "start", "0.1", "--id", "a", "--", *again, server=server)
    assert ran.returncode == 0
    assert "no setting" not in ran.stderr
    started = ran.stdout.splitlines()[-1].split("\t")
    assert started[0] != "a"
    assert started[1] == "running"
