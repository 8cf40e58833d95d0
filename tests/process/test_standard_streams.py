"""Whatever its streams, arguments and folder are, `timer-server` works or says a sentence, and shows no traceback."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from drivers.server_process import SERVICES, ServerProcess, timer_server

PROGRAM = [sys.executable, "-m", "timer_server"]
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("TIMER_")},
    "PYTHONPATH": str(SERVICES),
}
WRITES = [(["--help"], ""), (["--version"], "1"), (["keygen", "keys"], ""), (["keygen", "keys"], "1")]
"""What writes to standard output, by the parser of arguments and by itself, and how Python buffers it."""
INTERRUPTED_AT = """
import os, signal, sys

class Interrupt:
    def find_spec(name, *_):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt)
from timer_server.__main__ import main
sys.exit(main([]))
"""


def shell(line: str, folder: Path, *arguments: str | bytes, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a line of sh in which `"$@"` is the command with these arguments."""
    return subprocess.run(
        ["sh", "-c", line, "sh", *PROGRAM, *arguments],
        cwd=folder,
        env={**ENVIRONMENT, **variables},
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=20,
        check=False,
    )


@pytest.mark.parametrize(
    ("closed", "arguments", "exit_code"),
    [
        ("<&-", ["keygen", "keys"], 0),
        (">&-", ["keygen", "keys"], 0),
        ("2>&-", [], 2),
        ("<&- >&- 2>&-", ["--version"], 0),
        ("<&- >&- 2>&-", ["--nonsense"], 2),
        ("<&- >&- 2>&-", ["keygen", "keys"], 0),
        ("<&- >&- 2>&-", [], 2),
    ],
)
def test_streams_may_be_closed(tmp_path: Path, closed: str, arguments: list[str], exit_code: int) -> None:
    ran = shell(f'exec "$@" {closed}', tmp_path, *arguments, TIMER_MAX_BATCH="many")

    assert ran.returncode == exit_code
    assert "Traceback" not in ran.stderr
    if ">&-" not in closed.split():
        assert bool(ran.stdout) == (exit_code == 0)
    if "2>&-" not in closed:
        assert bool(ran.stderr) == (exit_code == 2)


def test_no_file_or_socket_takes_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    code = "import os, sys; [os.close(fd) for fd in (0, 1, 2)]; os.execv(sys.executable, sys.argv[1:])"
    with ServerProcess(tmp_path) as server:  # a first one, for its addresses
        server.terminate()
        process = subprocess.Popen(
            [sys.executable, "-c", code, *PROGRAM], cwd=tmp_path, env={**ENVIRONMENT, **server.environment}
        )
        try:
            for _ in range(10):
                if timer_server("--check", folder=tmp_path, TIMER_BIND=server.commands).returncode == 0:
                    break
            streams = [str(Path(f"/proc/{process.pid}/fd/{number}").readlink()) for number in range(3)]
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        finally:
            process.kill()
            process.wait()
    assert streams == ["/dev/null"] * 3


@pytest.mark.parametrize(("arguments", "unbuffered"), WRITES)
def test_a_full_disk_behind_standard_output_is_a_sentence(
    tmp_path: Path, arguments: list[str], unbuffered: str
) -> None:
    ran = shell('exec "$@" >/dev/full', tmp_path, *arguments, PYTHONUNBUFFERED=unbuffered)

    assert ran.returncode == 1
    assert ran.stderr == "timer-server: standard output cannot be written: No space left on device\n"


@pytest.mark.parametrize("arguments", [["--nonsense"], []])
def test_the_exit_code_is_right_where_standard_error_is_full(tmp_path: Path, arguments: list[str]) -> None:
    ran = shell('exec "$@" 2>/dev/full', tmp_path, *arguments, TIMER_MAX_BATCH="many")

    assert ran.returncode == 2


@pytest.mark.parametrize(("arguments", "unbuffered"), WRITES)
def test_a_reader_that_has_gone_ends_it_quietly(tmp_path: Path, arguments: list[str], unbuffered: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ran = subprocess.run(
            [*PROGRAM, *arguments],
            cwd=tmp_path,
            env={**ENVIRONMENT, "PYTHONUNBUFFERED": unbuffered},
            stdout=writer,
            stderr=subprocess.PIPE,
            timeout=20,
            check=False,
        )
    finally:
        os.close(writer)

    assert ran.returncode == -signal.SIGPIPE
    assert ran.stderr == b""


def test_arguments_may_be_no_text(tmp_path: Path) -> None:
    assert shell('exec "$@"', tmp_path, b"\xff").returncode == 2
    made = shell('exec "$@"', tmp_path, "keygen", b"k\xff", LC_ALL="C.UTF-8")
    assert (made.returncode, made.stderr) == (0, "")
    assert "made k\\udcff/server.key" in made.stdout
    assert Path(os.fsdecode(os.fsencode(tmp_path) + b"/k\xff/server.key")).is_file()


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "en_US.ISO-8859-1"])
def test_any_locale_can_show_the_help(tmp_path: Path, locale: str) -> None:
    ran = shell('exec "$@"', tmp_path, "keygen", "--help", LC_ALL=locale, PYTHONIOENCODING="ascii", COLUMNS="80")

    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_working_directory_may_be_gone(tmp_path: Path) -> None:
    gone = 'mkdir gone && cd gone && rmdir ../gone && exec "$@"'

    assert shell(gone, tmp_path, "--version").returncode == 0
    refused = shell(gone, tmp_path, TIMER_BIND="nonsense")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    anywhere = {"TIMER_BIND": "tcp://127.0.0.1:0", "TIMER_EVENTS_BIND": "tcp://127.0.0.1:0"}
    no_place = shell(gone, tmp_path, TIMER_LOG_FORMAT="json", **anywhere)
    assert no_place.returncode == 1
    assert "timers.db" in no_place.stderr
    assert "Traceback" not in no_place.stderr
    keyless = shell(gone, tmp_path, "keygen", "keys")
    assert (keyless.returncode, keyless.stderr.count("\n")) == (1, 1)


@pytest.mark.parametrize("module", ["timer_server.command", "zmq", "timer_server.settings", "timer_server.serve"])
def test_ctrl_c_while_it_starts_shows_nothing(tmp_path: Path, module: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_AT.format(module=module)],
        cwd=tmp_path,
        env={**ENVIRONMENT, "TIMER_STORE": "memory:"},
        capture_output=True,
        timeout=20,
        check=False,
    )

    assert ran.returncode == -signal.SIGINT
    assert ran.stderr == b""
