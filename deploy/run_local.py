"""Starts a timer server on this machine, runs `timer start` on it in the foreground, and stops the server at the end.

python deploy/run_local.py [arguments of `timer start`]
python deploy/run_local.py --web    runs `timer-gateway` in its place

Where TIMER_BIND, TIMER_EVENTS_BIND or TIMER_STORE are set (in the environment or in .env) they are used; otherwise the
server takes a free port of the loopback interface, and a store that goes when it ends.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from timer_protocol.environment import read_environment
from timer_protocol.settings import SettingError

START_LIMIT_S = 15.0
STOP_LIMIT_S = 10.0
MISUSED = 2
INTERRUPTED = 128 + signal.SIGINT


def main(arguments: list[str]) -> int:
    """Runs both programs; returns the exit code of the one in the foreground."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _exit)
    try:
        configured = read_environment()
    except SettingError as error:
        sys.stderr.write(f"{error}\n")
        return MISUSED
    is_web = arguments == ["--web"]
    with tempfile.TemporaryDirectory(prefix="timer-") as place, _server(Path(place), configured) as (commands, events):
        command = ["timer-gateway"] if is_web else ["timer", "start", *arguments]
        code = _foreground(command, {"TIMER_SERVER": commands, "TIMER_EVENTS": events})
    return 0 if is_web and code == INTERRUPTED else code  # Ctrl-C is how one is done with the page


def _exit(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


@contextmanager
def _server(place: Path, configured: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """A server while the block runs; gives the addresses of its two sockets."""
    defaults = {
        "TIMER_BIND": "tcp://127.0.0.1:*",
        "TIMER_EVENTS_BIND": "tcp://127.0.0.1:*",
        "TIMER_STORE": f"sqlite:///{place}/timers.db",
    }
    settings = {name: configured.get(name, default) for name, default in defaults.items()}
    log = place / "server.log"
    with log.open("wb") as output:
        # A session of its own: Ctrl-C is for the client, the server ends after it.
        server = subprocess.Popen(  # noqa: S603
            [_program("timer-server")],
            env={**os.environ, **settings, "TIMER_LOG_FORMAT": "json"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield _listening(server, log)
    finally:
        if server.poll() is not None:
            sys.stderr.write(f"The server ended (exit code {server.returncode}). It wrote:\n{_tail(log)}\n")
        else:
            _stop(server)


def _listening(server: subprocess.Popen[bytes], log: Path) -> tuple[str, str]:
    """Waits until the server logs the addresses it listens on."""
    limit = time.monotonic() + START_LIMIT_S
    while server.poll() is None:
        for line in log.read_text(errors="replace").splitlines():
            if '"listening"' in line and line.endswith("}"):
                entry = json.loads(line)
                # A client on this machine reaches "every interface" through the loopback one.
                return (
                    entry["commands"].replace("//0.0.0.0:", "//127.0.0.1:"),
                    entry["events"].replace("//0.0.0.0:", "//127.0.0.1:"),
                )
        if time.monotonic() > limit:
            sys.exit(f"The server did not listen within {START_LIMIT_S:.0f} s. It wrote:\n{_tail(log)}")
        time.sleep(0.02)
    sys.exit(server.returncode or 1)


def _foreground(command: list[str], addresses: dict[str, str]) -> int:
    # Ctrl-C reaches the program as well, which knows what to do about it. A handler, as a child inherits SIG_IGN.
    signal.signal(signal.SIGINT, lambda _number, _frame: None)
    program = subprocess.Popen([_program(command[0]), *command[1:]], env={**os.environ, **addresses})  # noqa: S603
    try:
        code = program.wait()
    finally:
        _stop(program)
    if code == -signal.SIGINT:
        sys.stderr.write("The local server stops too; its timers outlive it only where TIMER_STORE is set.\n")
    return code if code >= 0 else 128 - code


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        sys.exit(f"{name} is not on the PATH; `make run` sets it up.")
    return path


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-10:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
