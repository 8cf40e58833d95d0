"""The command that a worker runs for each end: what it is given, and what its exit code does."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from client.command import run, running
from drivers.both_clients import quick
from drivers.program import Program
from local_server import LocalServer
from timer_client import TimerClient

HANDLER = """#!/bin/sh
read -r payload
echo "handles $TIMER_ID $TIMER_STATE $TIMER_QUEUE $TIMER_ATTEMPT/$TIMER_MAX_DELIVERIES $payload"
case $TIMER_ID in
    job/given-up) exit 65 ;;
    job/fails) exit 3 ;;
    job/waits) cat hold ;;
esac
"""


@pytest.fixture
def client(server: LocalServer) -> Any:
    with TimerClient(settings=quick(server.commands, server.events, timeout_s=5)) as client:
        yield client


@pytest.fixture
def handler(tmp_path: Path) -> str:
    """A command; for a timer that waits it waits until somebody has written to the file `hold`."""
    path = tmp_path / "handle"
    path.write_text(HANDLER)
    path.chmod(0o755)
    os.mkfifo(tmp_path / "hold")
    return str(path)


@contextmanager
def _working(
    folder: Path, server: LocalServer, handler: str, *options: str, terminal: bool = False
) -> Iterator[Program]:
    with running(folder, "work", "q", *options, "--", handler, server=server, terminal=terminal) as program:
        program.expect("working on queue q")
        yield program


def _counts(client: TimerClient) -> tuple[int, int, int, int]:
    queue = client.get_queue("q")
    return queue.ready, queue.leased, queue.delayed, queue.dead


def test_its_exit_code_settles_an_end(server: LocalServer, client: TimerClient, tmp_path: Path, handler: str) -> None:
    options = ("--prefix", "job/", "-j", "3", "--lease", "1m", "--retries", "1", "--backoff", "0.01s")
    with _working(tmp_path, server, handler, *options) as program:
        assert "timer: working on queue q, the ends below job/, with " in program.output
        queue = client.get_queue("q")
        assert (queue.lease_ms, queue.max_deliveries, queue.backoff_ms) == (60_000, 2, (10,))
        client.start(seconds=0.01, id="job/works", payload={"to": "ada"})
        program.expect(r'handles job/works fired q 1/2 \{"to":"ada"\}')
        client.start(seconds=0.01, id="job/given-up")
        program.expect("timer: job/given-up: the command ended with exit code 65: given up")
        client.start(seconds=0.01, id="job/fails")
        program.expect(r"timer: job/fails: the command ended with exit code 3 \(attempt 1 of 2\)")
        program.expect(r"handles job/fails fired q 2/2 null")
        program.expect(r"attempt 2 of 2")
        program.signal(signal.SIGTERM)
        assert program.wait() == -signal.SIGTERM
    assert [(letter.event.timer.id, letter.attempts, letter.reason) for letter in client.dead("q").dead] == [
        ("job/given-up", 1, "ended with exit code 65"),
        ("job/fails", 2, "ended with exit code 3"),
    ]
    assert _counts(client) == (0, 0, 0, 2)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_it_finish_and_gives_the_rest_back(
    server: LocalServer, client: TimerClient, tmp_path: Path, handler: str, number: signal.Signals
) -> None:
    client.put_queue("q", "job/")
    with _working(tmp_path, server, handler) as program:
        client.start(seconds=0.01, id="job/waits")
        program.expect("handles job/waits")
        client.start(seconds=0.01, id="job/next")
        program.signal(number)
        program.expect("timer: waiting for 1 command to finish; once more ends them")
        (tmp_path / "hold").write_text("let go\n")
        assert program.wait() == -number
    assert "let go" in program.output
    assert [(one.event.timer.id, one.attempt) for one in client.take("q", 5, 10_000)] == [("job/next", 1)]


def test_ctrl_c_on_a_terminal_does_not_reach_it(
    server: LocalServer, client: TimerClient, tmp_path: Path, handler: str
) -> None:
    client.put_queue("q", "job/")
    with _working(tmp_path, server, handler, terminal=True) as program:
        client.start(seconds=0.01, id="job/waits")
        program.expect("handles job/waits")
        with (tmp_path / "hold").open("w") as hold:
            program.send("\x03")
            program.expect("timer: waiting for 1 command to finish; once more ends them")
            hold.write("let go\n")
        assert program.wait() == -signal.SIGINT
    assert "let go" in program.output
    assert _counts(client) == (0, 0, 0, 0)


def test_a_second_signal_ends_it_and_uses_up_no_attempt(
    server: LocalServer, client: TimerClient, tmp_path: Path, handler: str
) -> None:
    client.put_queue("q", "job/")
    with _working(tmp_path, server, handler) as program:
        client.start(seconds=0.01, id="job/waits")
        program.expect("handles job/waits")
        program.signal(signal.SIGTERM)
        program.expect("once more ends them")
        program.signal(signal.SIGTERM)
        program.expect("job/waits: the command was ended by SIGTERM; given back")
        assert program.wait(5) == -signal.SIGTERM, "what the command has started holds the output open"
    assert [one.attempt for one in client.take("q")] == [1]


def test_a_lease_that_is_lost_ends_it(server: LocalServer, client: TimerClient, tmp_path: Path, handler: str) -> None:
    client.put_queue("q", "job/", lease_ms=1000)
    with _working(tmp_path, server, handler) as program:
        client.start(seconds=0.01, id="job/waits")
        program.expect("handles job/waits")
        client.delete_queue("q")
        program.expect("job/waits: the lease of job/waits from queue 'q' is over: .*; the command was ended")
        assert program.wait() == 1
        assert "timer: queue 'q' is not there" in program.output


def test_a_command_that_is_gone_costs_no_attempts(
    server: LocalServer, client: TimerClient, tmp_path: Path, handler: str
) -> None:
    with _working(tmp_path, server, handler, "--prefix", "") as program:
        Path(handler).unlink()
        client.start(seconds=0.01, id="job/1")
        program.expect(r"timer: the command .*handle or its interpreter cannot be found")
        assert program.wait() == 127
    assert [one.attempt for one in client.take("q")] == [1]


def test_a_queue_that_is_there_keeps_its_bounds(
    server: LocalServer, client: TimerClient, tmp_path: Path, handler: str
) -> None:
    before = client.put_queue("q", "job/")
    with _working(tmp_path, server, handler, "--prefix", "job/", "--lease", "1m") as program:
        program.expect("the queue was there already, and keeps its own lease, retries and backoff")
    assert client.get_queue("q") == before


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (
            ["q"],
            2,
            "after -- comes the command to run for each end, as in timer work QUEUE -- ./send.sh; it is missing",
        ),
        (["q", "--"], 2, "after -- comes the command to run for each end"),
        (["q", "--", "no-such-command"], 127, "the command no-such-command cannot be found; nothing was started"),
        (["q", "--", "./plain"], 126, "the command ./plain is not executable; nothing was started"),
        (["none", "--", "true"], 1, "queue 'none' is not there; to make it give --prefix, which is"),
        (["q", "--prefix", "mail/", "--", "true"], 2, "queue 'q' reads the ends below 'job/', not below 'mail/'"),
        (["q", "--prefix", "mail/", "--", "true"], 2, "or change it by `timer queue put`"),
        (["q", "-j", "0", "--", "true"], 2, "0 is not in the range 1<=x<=1000"),
        (["q", "--retries", "some", "--", "true"], 2, "--retries is 'some', but must be a whole number or forever"),
        (["new", "--prefix", "", "--lease", "13h", "--", "true"], 2, "--lease must be at most 43200000 ms"),
    ],
)
def test_bad_input_is_told(
    server: LocalServer, client: TimerClient, tmp_path: Path, arguments: list[str], code: int, told: str
) -> None:
    client.put_queue("q", "job/")
    (tmp_path / "plain").write_text("")
    ran = run(tmp_path, "work", *arguments, server=server)
    assert (ran.returncode, ran.stdout) == (code, "")
    assert told in ran.stderr
