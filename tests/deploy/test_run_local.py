"""`make run`: a server and a client together, and nothing left over."""

import os
import secrets
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from drivers.program import Program
from timer_client import TimerClient
from timer_client.settings import Settings

ROOT = Path(__file__).parents[2]
MARK = "RUN_LOCAL_TEST"
START_LIMIT_S = 60.0
"""How long three interpreters may take to start beside whatever else runs on the machine."""

MAINS = {
    "timer": "timer_client.cli",
    "timer-server": "timer_server.__main__",
    "timer-gateway": "timer_gateway.__main__",
}

RunLocal = Callable[..., Program]


@pytest.fixture
def run_local(tmp_path: Path) -> Iterator[RunLocal]:
    """Starts run_local.py in an empty folder; at the end no process of it may be left."""
    launchers = tmp_path / "bin"
    launchers.mkdir()
    for name, module in MAINS.items():
        launcher = launchers / name
        launcher.write_text(f"#!{sys.executable}\nimport sys\nfrom {module} import main\nsys.exit(main())\n")
        launcher.chmod(launcher.stat().st_mode | stat.S_IXUSR)
    mark = secrets.token_hex(8)
    env = {name: value for name, value in os.environ.items() if not name.startswith("TIMER_")}
    env |= {"PATH": f"{launchers}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT / "services"), MARK: mark}
    env |= {"TERM": "xterm"}
    programs: list[Program] = []

    def start(*arguments: str, terminal: bool = False, **variables: str) -> Program:
        command = [sys.executable, str(ROOT / "deploy" / "run_local.py"), *arguments]
        programs.append(Program(command, {**env, **variables}, tmp_path, terminal=terminal))
        return programs[-1]

    yield start
    for program in programs:
        program.close()
    assert not processes_with(mark)


def processes_with(mark: str) -> list[str]:
    """The command lines of the processes that have the mark in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text())
        except OSError:  # ended meanwhile, or not ours to look at
            continue
    return found


def test_asks_on_a_terminal(run_local: RunLocal, tmp_path: Path) -> None:
    commands, events = f"ipc://{tmp_path}/commands", f"ipc://{tmp_path}/events"
    program = run_local(terminal=True, TIMER_BIND=commands, TIMER_EVENTS_BIND=events)
    for question, answer in (("hours", "1"), ("minutes", "0"), ("seconds", "0")):
        program.expect(question, START_LIMIT_S)
        program.send(f"{answer}\n")
    program.expect("━━━", START_LIMIT_S)
    with TimerClient(settings=Settings(server=commands, events=events)) as client:  # ends it once the bar was there
        (timer,) = client.list().timers
        left_ms = client.pause(timer.id).remaining_ms
        client.extend(timer.id, seconds=(1 - left_ms) / 1000)
        client.resume(timer.id)
    program.expect("\x07", START_LIMIT_S)
    assert program.wait() == 0


def test_ctrl_c_is_for_the_client(run_local: RunLocal) -> None:
    program = run_local("1h", terminal=True)
    program.expect("━━━")
    program.send("\x03")
    program.expect("local server stops too")
    assert program.wait() == 130
    assert "Traceback" not in program.output


@pytest.mark.thorough
def test_sigterm_ends_both(run_local: RunLocal) -> None:
    program = run_local("1h")
    program.expect("is running")
    program.signal(signal.SIGTERM)
    assert program.wait() == 128 + signal.SIGTERM
    assert "Traceback" not in program.output


def test_runs_the_gateway_in_its_place(run_local: RunLocal) -> None:
    program = run_local("--web", TIMER_GATEWAY_BIND="127.0.0.1:0", terminal=True)
    url = program.expect(r"(?m)^Open (http://127\.0\.0\.1:\d+)\r$")[1]
    assert httpx.get(f"{url}/readyz", trust_env=False).status_code == 200
    program.send("\x03")
    program.expect("local server stops too")
    assert program.wait() == 0
    assert "Traceback" not in program.output


def test_configured_place_is_used_and_kept(run_local: RunLocal, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"TIMER_STORE=sqlite:///kept.db\nTIMER_BIND=ipc://{tmp_path}/commands\n")
    assert run_local("0", "0", "1", TIMER_EVENTS_BIND=f"ipc://{tmp_path}/events").wait() == 0
    assert (tmp_path / "kept.db").exists()


def test_a_server_that_does_not_start_says_why(run_local: RunLocal) -> None:
    program = run_local("0", "0", "1", TIMER_RETENTION_S="a day")
    assert program.wait() == 2
    assert "TIMER_RETENTION_S is 'a day'" in program.output
    assert "Traceback" not in program.output


def test_an_env_file_that_is_no_text_is_a_sentence(run_local: RunLocal, tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xff\xfe")
    program = run_local("0", "0", "1")
    assert program.wait() == 2
    assert ".env, line 1, cannot be read" in program.output
    assert "Traceback" not in program.output
