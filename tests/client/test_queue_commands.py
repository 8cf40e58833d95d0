"""The commands about queues, for people and for scripts."""

import json
from pathlib import Path
from typing import Any

import pytest

from client.command import run, running
from drivers.both_clients import quick
from local_server import LocalServer
from timer_client import TimerClient


@pytest.fixture
def client(server: LocalServer) -> Any:
    with TimerClient(settings=quick(server.commands, server.events, timeout_s=5)) as client:
        yield client


def _json(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def _end(client: TimerClient, *ids: str) -> None:
    client.start_columns(ids, 0.01)
    while client.get_queue("q").ready < len(ids):
        pass


def test_a_queue_is_made_and_changed(server: LocalServer, client: TimerClient, tmp_path: Path) -> None:
    made = run(
        tmp_path,
        *("queue", "put", "q", "--prefix", "job/", "--lease", "1m", "--retries", "2", "--backoff", "1s, 1m"),
        *("--state", "fired", "--state", "cancelled", "--max-dead", "7", "--keep", "2d", "--json"),
        server=server,
    )
    (queue,) = _json(made.stdout)
    wanted = {"lease_ms": 60_000, "max_deliveries": 3, "backoff_ms": [1000, 60_000], "max_dead": 7, "version": 1}
    wanted |= {"prefix": "job/", "states": ["cancelled", "fired"], "keep_ms": 2 * 86_400_000}
    assert {name: queue[name] for name in wanted} == wanted

    changed = run(tmp_path, "queue", "put", "q", "--retries", "forever", server=server)
    assert dict(line.split(maxsplit=1) for line in changed.stdout.splitlines() if "max_d" in line or "pre" in line) == {
        "prefix": "job/",
        "max_deliveries": "0",
        "max_dead": "7",
    }
    listed = run(tmp_path, "queue", "ls", server=server)
    assert listed.stdout == "q\tjob/\t0\t0\t0\t0\t0\n"
    assert _json(run(tmp_path, "queue", "ls", "--json", server=server).stdout)[0]["version"] == 2
    assert run(tmp_path, "queue", "ls", "--prefix", "mail/", server=server).stdout == ""
    assert run(tmp_path, "queue", "show", "q", "--json", server=server).stdout == (
        run(tmp_path, "queue", "ls", "--json", server=server).stdout
    )


def test_a_script_takes_and_settles(server: LocalServer, client: TimerClient, tmp_path: Path) -> None:
    client.put_queue("q", "")
    client.start(seconds=0.01, id="a", label="tea\x1b[2J", payload={"to": "ada"})
    took = run(tmp_path, "take", "q", "--wait", "20s", server=server)
    receipt, attempt, timer_id, label = took.stdout.rstrip("\n").split("\t")
    assert (attempt, timer_id, label) == ("1", "a", "tea\\x1b[2J")
    assert run(tmp_path, "take", "q", server=server).stdout == ""

    back = run(tmp_path, "nack", "q", receipt, "--return", server=server)
    assert (back.returncode, back.stdout) == (0, "1 end given back\n")
    (delivery,) = _json(run(tmp_path, "take", "q", "--json", server=server).stdout)
    assert (delivery["attempt"], delivery["event"]["timer"]["payload"]) == (1, {"to": "ada"})
    lost = run(tmp_path, "ack", "q", receipt, server=server)
    assert (lost.returncode, lost.stdout) == (1, "0 ends acknowledged\n")
    assert lost.stderr == f"timer: {receipt} is lost: its lease is over, and another worker may have the end\n"
    done = run(tmp_path, "ack", "q", delivery["receipt"], "--json", server=server)
    assert (done.returncode, _json(done.stdout)) == (0, [{"done": [delivery["receipt"]], "lost": []}])


def test_the_same_key_takes_the_same_ends(server: LocalServer, client: TimerClient, tmp_path: Path) -> None:
    client.put_queue("q", "")
    _end(client, "a", "b")
    first, again = (run(tmp_path, "take", "q", "--key", "k", server=server).stdout for _ in range(2))
    assert first == again != ""
    assert run(tmp_path, "take", "q", "--max", "5", server=server).stdout.split("\t")[2].strip() == "b"


def test_dead_letters(server: LocalServer, client: TimerClient, tmp_path: Path) -> None:
    client.put_queue("q", "")
    _end(client, "a", "b", "c")
    receipts = [delivery.receipt for delivery in client.take("q", 3)]
    given_up = run(tmp_path, "nack", "q", *receipts, "--dead", "--reason", "no such address", server=server)
    assert given_up.stdout == "3 ends given up\n"
    listed = run(tmp_path, "queue", "dead", "q", "--limit", "2", server=server).stdout.splitlines()
    receipt, timer_id, _, attempts, reason = listed[0].split("\t")
    assert (len(listed), timer_id, attempts, reason) == (2, "a", "1", "no such address")
    assert [
        letter["receipt"] for letter in _json(run(tmp_path, "queue", "dead", "q", "--json", server=server).stdout)
    ] == (receipts)

    assert run(tmp_path, "queue", "revive", "q", receipt, server=server).stdout == "1 dead letter revived\n"
    again = run(tmp_path, "queue", "revive", "q", receipt, server=server)
    assert (again.returncode, again.stderr) == (1, f"timer: {receipt} is no dead letter of this queue\n")
    unsaid = run(tmp_path, "queue", "drop", "q", server=server)
    assert (unsaid.returncode, "or give --all" in unsaid.stderr) == (2, True)
    assert run(tmp_path, "queue", "drop", "q", "--all", server=server).stdout == "2 dead letters dropped\n"
    assert (client.get_queue("q").ready, client.get_queue("q").dead) == (1, 0)


def test_a_queue_that_holds_something_is_not_deleted_by_accident(
    server: LocalServer, client: TimerClient, tmp_path: Path
) -> None:
    client.put_queue("q", "")
    _end(client, "a")
    kept = run(tmp_path, "queue", "rm", "q", server=server)
    assert (kept.returncode, kept.stderr) == (
        1,
        "timer: queue q holds 1 end, of which 0 dead; --force deletes them too\n",
    )
    assert run(tmp_path, "queue", "rm", "q", "--force", server=server).stdout == "Queue q was deleted.\n"
    assert _json(run(tmp_path, "queue", "rm", "q", "--force", "--json", server=server).stdout) == [{"deleted": False}]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (
            ["take", "none"],
            1,
            "queue 'none' is not there. The command `queue ls` lists those there are; `queue put` makes",
        ),
        (["queue", "show", "none"], 1, "queue 'none' is not there"),
        (["queue", "dead", "none"], 1, "queue 'none' is not there"),
        (["queue", "revive", "none", "--all"], 1, "queue 'none' is not there"),
        (["queue", "rm", "none"], 1, "queue 'none' is not there"),
        (["queue", "put", "none"], 1, 'queue none is not there; to make it give --prefix, which is "" for all ends'),
        (["ack", "none", "x"], 1, "queue 'none' is not there"),
        (["ack", "q", "x"], 2, "'x' is no receipt, such as each delivery has; nothing of this call was applied"),
        (["nack", "q", "x"], 2, "'x' is no receipt"),
        (["ack", "q", "{other}"], 2, "is a receipt of queue 'other', not of 'q'; nothing of this call was applied"),
        (["nack", "q", "{other}"], 2, "is a receipt of queue 'other', not of 'q'"),
        (["queue", "drop", "q", "{other}"], 2, "is a receipt of queue 'other', not of 'q'"),
        (["nack", "q", "{other}", "--dead", "--delay", "5s"], 2, "'{other}' is a receipt of queue 'other'"),
        (["nack", "q", "x", "--dead", "--return"], 2, "--return gives the ends back and --dead gives them up: leave"),
        (["ack", "q"], 2, "Missing argument 'RECEIPT...'"),
        (["take", "q", "--max", "101"], 2, "101 is not in the range 1<=x<=100"),
        (["take", "q", "--wait", "2h"], 2, "--wait may be at most 3600 s"),
        (["take", "q", "--wait", "soon"], 2, "'soon' is no duration"),
        (["queue", "put", "q", "--retries", "-1"], 2, "--retries is '-1', but must be a whole number or forever"),
        (["queue", "put", "q", "--backoff", "1s,,2s"], 2, "'' is no duration"),
        (["queue", "put", "q", "--lease", "5ms"], 2, "'5ms' is no duration"),
        (["queue", "put", "q", "--lease", "0.5s"], 2, "timer: --lease must be at least 1000 ms\n"),
        (["queue", "put", "no spaces", "--prefix", ""], 2, "A-Z a-z 0-9"),
        (["queue", "put", "q", "--prefix", "a" * 200], 2, "timer: --prefix must have at most 128 characters\n"),
        (["queue", "show", ""], 2, "timer: QUEUE must have at least 1 character\n"),
    ],
)
def test_bad_input_is_told(
    server: LocalServer, client: TimerClient, tmp_path: Path, arguments: list[str], code: int, told: str
) -> None:
    client.put_queue("q", "")
    client.put_queue("other", "")
    client.start(seconds=0.01, id="a")
    (other,) = client.take("other", wait_ms=10_000)
    ran = run(tmp_path, *(argument.format(other=other.receipt) for argument in arguments), server=server)
    assert (ran.returncode, ran.stdout) == (code, "")
    assert told.format(other=other.receipt) in ran.stderr
    assert "Traceback" not in ran.stderr


def test_on_a_terminal_queues_stand_in_columns(server: LocalServer, client: TimerClient, tmp_path: Path) -> None:
    client.put_queue("q", "job/")
    with running(tmp_path, "queue", "ls", server=server, terminal=True) as program:
        assert program.wait() == 0
    assert program.output.split("\r\n")[:2] == [
        "queue  prefix  ready  leased  delayed  dead  dropped",
        "q      job/    0      0       0        0     0",
    ]
