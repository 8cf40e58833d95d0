"""The command `timer` in a shell that has made something unusual of its streams, folder, arguments or encoding."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from client.command import COMMAND, LIMIT_S, environment, run
from client.fake_server import FakeServer
from local_server import LocalServer

TRACES = ("Traceback", "Exception ignored", "Error in sys", "lost sys")

# Lets a test that runs as root meet permissions all the same.
WITHOUT_PRIVILEGES = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []

PRESSES_AT_AN_IMPORT = """
import signal, sys
class Press:
    left = None
    def find_spec(self, name, path=None, target=None):
        if name == "timer_client.cli":
            Press.left = int(sys.argv.pop(1))
        if Press.left is not None:
            Press.left -= 1
            if Press.left == 0:
                signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Press())
from timer_client.__main__ import main
main()
"""

PRESSES_AT_THE_END = """
import atexit, signal
atexit.register(signal.raise_signal, signal.SIGINT)
from timer_client.__main__ import main
main()
"""

PRESSES_IN_A_FINALIZER = """
import signal, time
from timer_client.cli.interrupts import take_signals
class Finalized:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
take_signals()
try:
    Finalized()
    time.sleep(20)
except KeyboardInterrupt:
    print("heard")
"""


def _shell(
    folder: Path, script: str, server: LocalServer | FakeServer | None = None, **variables: str
) -> "subprocess.CompletedProcess[str]":
    """Runs a script of bash in which `timer` is the command."""
    function = f'timer() {{ {" ".join(COMMAND)} "$@"; }}'
    return subprocess.run(
        [*WITHOUT_PRIVILEGES, "bash", "-c", f"{function}\n{script}"],
        cwd=folder,
        env=environment(server, **variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def _check_quiet(ran: "subprocess.CompletedProcess[str]") -> None:
    assert not [trace for trace in TRACES if trace in ran.stdout + ran.stderr], ran.stderr


@pytest.mark.parametrize(
    ("line", "exit_code", "told"),
    [
        ("timer start 1h --id a --detach >&-", 0, ""),
        ("timer start 0.1 <&- >&- 2>&-", 0, ""),
        ("timer start <&-", 2, "The input ended where an answer was expected"),
        ("timer get nobody 2>&-", 1, ""),
        ("timer get nobody 2>/dev/full", 1, ""),
        ("timer frobnicate 2>/dev/full", 2, ""),
        ("timer --help >/dev/full", 5, "timer: the output cannot be written: No space left on device\n"),
        ("timer start 1h --id b --detach >/dev/full", 5, "cannot be written: No space left"),
        ("timer start 0.1 >/dev/full 2>&1", 5, ""),
        ("timer --help | true; exit ${PIPESTATUS[0]}", 141, ""),
        ("timer start 2 | head -n 1; exit ${PIPESTATUS[0]}", 141, ""),
        (r"printf '\xff\n' | timer start", 2, r"xff' is no"),
    ],
)
def test_streams(server: LocalServer, tmp_path: Path, line: str, exit_code: int, told: str) -> None:
    ran = _shell(tmp_path, line, server)
    _check_quiet(ran)
    assert ran.returncode == exit_code, ran.stderr
    assert told in ran.stderr
    assert told or not ran.stderr


@pytest.mark.parametrize(
    ("unmake", "line", "exit_codes"),
    [
        ("rmdir ../gone", "timer info", {0}),
        ("rmdir ../gone", "timer events --cursor-file x", {2}),
        ("rmdir ../gone", "timer keygen x", {1, 2}),
        ("chmod 0 .", "timer info", {0}),
        ("chmod 0 .", "timer keygen x", {1, 2}),
    ],
)
def test_a_working_directory_that_is_gone_or_locked(
    server: LocalServer, tmp_path: Path, unmake: str, line: str, exit_codes: set[int]
) -> None:
    ran = _shell(tmp_path, f"mkdir gone; cd gone; {unmake}; {line}", server)
    _check_quiet(ran)
    assert ran.returncode in exit_codes, ran.stderr
    assert ran.stderr.count("\n") == (1 if ran.returncode else 0)


@pytest.mark.parametrize(
    "arguments",
    [
        (b"get", b"\xff"),
        (b"watch", b"a", b"\xff"),
        (b"start", b"1h", b"--id", b"\xff"),
        (b"start", b"1h", b"--label", b"tea\xff"),
        (b"start", b"1h", b"--payload", b'"\xff"'),
        (b"start", b"\xff"),
        (b"extend", b"a", b"\xff"),
        (b"list", b"--prefix", b"\xff"),
        (b"events", b"\xff"),
        (b"events", b"--after", b"\xff"),
        (b"--server", b"tcp://\xff", b"info"),
        (b"\xff",),
        (b"--\xff",),
        (b"keygen", b"\xff"),
    ],
)
def test_arguments_that_are_no_text(server: LocalServer, tmp_path: Path, arguments: Sequence[bytes]) -> None:
    ran = run(tmp_path, *map(os.fsdecode, arguments), server=server)
    assert ran.returncode == 2, ran.stderr
    _check_quiet(ran)
    assert r"\xff" in ran.stderr


@pytest.mark.parametrize(("line", "count"), [("info", 5), ("info", 11), ("watch a", 15)])
def test_too_few_descriptors(server: LocalServer, tmp_path: Path, line: str, count: int) -> None:
    ran = _shell(tmp_path, f"ulimit -n {count}; timer {line}", server)
    assert ran.returncode == 5
    assert re.fullmatch(
        r"timer: (no connection to tcp://[\d.:]+ can be made from here: )?Too many open files\n", ran.stderr
    )


@pytest.mark.parametrize("text", ["[" * 100_000, "[" * 5_000 + "]" * 5_000, "{"])
def test_a_payload_that_cannot_be_read(server: LocalServer, tmp_path: Path, text: str) -> None:
    ran = run(tmp_path, "start", "1h", "--payload", text, server=server)
    _check_quiet(ran)
    assert ran.returncode == 2
    assert "--payload is not JSON" in ran.stderr


def test_letters_that_the_output_lacks(server: LocalServer, tmp_path: Path) -> None:
    variables = {"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    for line in (
        "timer start 0.1 --id a --label $'\\xe7\\xb4\\x85\\xe8\\x8c\\xb6'",
        "timer list --all",
        "timer events --after start --count 2",
        "timer get $'\\xe7\\xb4\\x85'; [ $? = 1 ]",
        "TIMER_RETRY_DEADLINE_S=0.2 timer --server tcp://127.0.0.1:1 info; [ $? = 4 ]",
    ):
        visible = f"({line}) >out 2>err; code=$?; cat -v out; cat -v err >&2; exit $code"
        ran = _shell(tmp_path, visible, server, **variables)
        _check_quiet(ran)
        assert ran.returncode == 0, (line, ran.stderr)


@pytest.mark.parametrize("imports", [1, 10, 40, 160])
def test_ctrl_c_while_the_command_is_imported(server: LocalServer, tmp_path: Path, imports: int) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PRESSES_AT_AN_IMPORT, str(imports), "info"],
        cwd=tmp_path,
        env=environment(server),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    _check_quiet(ran)
    assert ran.returncode in (-2, 130)
    assert ran.stdout == ""
    assert ran.stderr.strip() == ""


def test_ctrl_c_once_the_command_is_done(server: LocalServer, tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PRESSES_AT_THE_END, "info"],
        cwd=tmp_path,
        env=environment(server),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert ran.stderr == ""
    assert ran.returncode == -2
    assert "version" in ran.stdout


def test_ctrl_c_that_python_drops_is_heard(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PRESSES_IN_A_FINALIZER],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert (ran.stdout, ran.stderr) == ("heard\n", "")
