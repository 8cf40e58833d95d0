"""Plans, queues and moments of the wall clock in files: what is exported, and what an import makes of it."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from client.fake_server import timer
from client.test_plan_text import DAY_MS, DRINK, NINE, STANDUP
from client.test_steps import plan
from timer_client import Step, TimerClient
from timer_client.cli import root
from timer_client.cli.job_lines import Fault, PlanJob, QueueJob, line_of, plan_line, queue_line, read_jobs
from timer_client.plan_calls import put_spec
from timer_protocol.plan_messages import PlanCounts, PutPlanParams
from timer_protocol.queue_messages import Queue
from timer_testing import TimerServer

Command = Callable[..., Result]

BEGIN = datetime(2030, 3, 29, 12, tzinfo=UTC)


@pytest.fixture
def server() -> Iterator[TimerServer]:
    with TimerServer(BEGIN) as running:
        yield running


@pytest.fixture
def client(server: TimerServer) -> Iterator[TimerClient]:
    with server.client() as connected:
        yield connected


@pytest.fixture
def command(server: TimerServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs the command in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    where = {"TIMER_SERVER": server.server, "TIMER_EVENTS": server.events}

    def run(*arguments: str, answers: bytes | None = None) -> Result:
        return CliRunner(env=where).invoke(root, arguments, input=answers)

    return run


def put_again(**members: Any) -> dict[str, Any]:
    """The parameters that the line of a plan puts, without those that are the default."""
    (job,) = read_jobs([plan_line(plan(**members))], "", with_plans=True)
    assert isinstance(job, PlanJob)
    params = put_spec(job.spec).params
    msgspec.json.decode(params, type=PutPlanParams)
    again: dict[str, Any] = msgspec.json.decode(params)
    return again


def test_the_line_of_a_plan_puts_what_is_left_of_it() -> None:
    pending = timer(id="drink~20301128T080000Z", due_at_ms=NINE.at_ms)
    drink = put_again(**{**DRINK, "count": 10, "counts": PlanCounts(7, 1, 0, 0), "pending": pending, "label": "water"})
    assert drink == {
        "plan": "drink",
        "every": {"hours": 1, "minutes": 0, "seconds": 30},
        "from_ms": NINE.at_ms,
        "count": 3,
        "label": "water",
        "missed_window_ms": DAY_MS,
    }
    standup = put_again(**{**STANDUP, "state": "paused", "payload": {"a": [1]}, "missed": "all", "pending": pending})
    assert standup == {
        "plan": "standup",
        "cron": "0 9 * * 1-5",
        "zone": "Europe/Rome",
        "missed": "all",
        "missed_window_ms": DAY_MS,
        "payload": {"a": [1]},
        "paused": True,
    }
    pomodoro = put_again(count=4, round=3, step=2)
    assert (pomodoro["count"], len(pomodoro["steps"])) == (2, 2)


def test_the_line_of_a_queue_puts_it_again() -> None:
    queue = Queue(
        queue="email", version=3, prefix="email/", states=("fired",), lease_ms=5000, max_deliveries=0,
        backoff_ms=(1, 2), max_backlog=7, max_dead=8, max_bytes=9, keep_ms=10_000, ready=1, leased=1, delayed=0,
        dead=0, dropped=0, oldest_ready_ms=None, filling=False,
    )  # fmt: skip
    (job,) = read_jobs([queue_line(queue)], "", with_plans=True)
    assert isinstance(job, QueueJob)
    params = job.params
    assert (params.queue, params.prefix, params.states, params.begin) == ("email", "email/", ["fired"], "now")
    assert (params.lease_ms, params.max_deliveries, params.backoff_ms, params.keep_ms) == (5000, 0, [1, 2], 10_000)


@pytest.mark.parametrize(
    ("members", "goes_by_it"),
    [
        ({"version": 1, "at": "2030-11-28T09:00", "zone": "Mars/Olympus"}, True),
        ({"version": 3, "at": "2030-11-28T09:00", "zone": "Europe/Rome"}, True),
        ({"version": 3, "at": "2030-11-28T08:00:00Z"}, True),
        ({"version": 3, "at": "2030-11-28T09:01", "zone": "Europe/Rome"}, False),
        ({"version": 3, "at": "2030-11-28T09:00", "zone": "Mars/Olympus"}, False),
        ({"version": 2, "at": "2030-11-28T09:00", "zone": "Europe/Rome", "state": "paused", "due_at_ms": None}, False),
    ],
)
def test_the_line_of_a_timer_has_its_moment_for_as_long_as_it_goes_by_it(
    members: dict[str, Any], goes_by_it: bool
) -> None:
    told = json.loads(line_of(timer(**{"id": "a", "due_at_ms": NINE.at_ms + 3, "remaining_ms": 60_500, **members})))
    if goes_by_it:
        assert (told["at"], told["past"], "seconds" in told) == (members["at"], "fire", False)
    else:
        assert (told["seconds"], "at" in told, "past" in told) == (60.5, False, False)


def test_a_line_that_is_neither_is_told() -> None:
    lines = [b'{"plan": 5}', b'{"plan": "a", "evry": {}}', b'{"queue": "a"}', b'{"plan": "a"']
    faults = [*read_jobs(lines, "", with_plans=True)]
    for fault, reason in zip(faults, ("$.plan", "`evry`", "`prefix`", "truncated"), strict=True):
        assert isinstance(fault, Fault)
        assert fault.reason.startswith("it is no timer, plan or queue in JSON: ")
        assert reason in fault.reason
    (fault,) = read_jobs([b'{"plan": "a", "every": {"hours": 1}}'], "", with_plans=False)
    assert isinstance(fault, Fault)
    assert fault.reason.startswith("it is no timer in JSON: ")


def test_plans_go_where_the_export_is_imported(command: Command, client: TimerClient) -> None:
    client.put_plan("standup", cron="0 9 * * 1-5", zone="Europe/Rome", paused=True)
    client.put_plan("drink", every={"hours": 1}, label="water")
    client.put_plan("done", every={"hours": 1}, count=1)
    client.skip_plan("done")
    client.start(id="dinner", at="2030-03-29T19:30", zone="Europe/Rome")
    client.start(id="lunch", at="2030-03-30T12:00:00Z")
    client.extend("lunch", minutes=1)
    client.start(id="tea", minutes=5)
    exported = command("export").stdout_bytes
    with TimerServer(BEGIN) as other, other.client() as there:
        other.advance(minutes=30)
        where = ("--server", other.server)
        ran = command(*where, "import", answers=exported)
        assert (ran.exit_code, ran.stdout) == (0, "3 timers started, 3 plans put\n")
        assert [(plan.plan, plan.state) for plan in there.plans()] == [
            ("done", "active"), ("drink", "active"), ("standup", "paused"),
        ]  # fmt: skip
        drink = there.get_plan("drink")
        assert (drink.label, drink.pending.id if drink.pending else None) == ("water", "drink~20300329T130000Z")
        dinner = there.get("dinner")
        assert (dinner.at, dinner.zone) == ("2030-03-29T19:30", "Europe/Rome")
        assert there.get("lunch").remaining_ms == (24 * 60 + 1) * 60_000
        there.resume_plan("standup")
        other.advance(seconds=1)
        ran = command(*where, "import", answers=exported)
        assert ran.stdout == "0 timers started, 6 there already\n"
        assert there.get_plan("standup").state == "active"
        lines = ['{"plan": "a", "every": {}}', '{"id": "b", "at": "soon"}', '{"id": "c", "at": "2031-01-01T00:00Z"}']
        ran = command(*where, "import", answers="\n".join(lines).encode())
        assert (ran.exit_code, ran.stdout) == (1, "1 timer started, 2 lines refused\n")
        assert [line.split(": ")[1] for line in ran.stderr.splitlines()] == ["-, line 1", "-, line 2"]


def test_a_plan_of_steps_begins_its_round_anew_where_it_is_imported(
    command: Command, server: TimerServer, client: TimerClient
) -> None:
    client.put_plan("p", steps=[Step(minutes=25, label="work"), Step(minutes=5, label="rest")], count=3)
    server.advance(minutes=56)
    assert (client.get_plan("p").step, client.get_plan("p").round) == (2, 2)
    exported = command("export").stdout_bytes
    with TimerServer(BEGIN) as other, other.client() as there:
        command("--server", other.server, "import", answers=exported)
        put = there.get_plan("p")
        assert (put.step, put.round, put.count) == (1, 1, 2)
        assert put.pending
        assert put.pending.remaining_ms == 25 * 60_000


def test_a_queue_is_exported_with_its_settings(command: Command, client: TimerClient) -> None:
    lines = b'{"queue": "email", "prefix": "email/", "lease_ms": 5000}\n'
    assert command("import", answers=lines).stdout == "0 timers started, 1 queue put\n"
    (line,) = command("export", "--prefix", "email/").stdout.splitlines()
    told = json.loads(line)
    assert (told["queue"], told["prefix"], told["lease_ms"], told["states"]) == ("email", "email/", 5000, ["fired"])
    assert "ready" not in told
    assert command("import", answers=line.encode()).stdout == "0 timers started, 1 there already\n"
