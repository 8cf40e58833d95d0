"""The dangerous cases by themselves: a request whose reply is lost after it was applied, and one that is sent twice.

Each has to have one effect, which the final timers and the event log show.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import zmq

from campaigns.campaign import Length, Report
from campaigns.network_audit import audit
from campaigns.network_load import Outcome
from campaigns.network_verdict import by_timer, timer_faults
from campaigns.proxy import Proxy
from drivers.both_clients import AwaitableDriver, BlockingDriver, Driver
from drivers.peers import request, socket_to
from drivers.server_process import ServerProcess
from timer_client import Settings, TimerClient, TimerSpec

HOUR_MS = 3_600_000
COPIES = 3
SENDERS = 2


@dataclass(frozen=True)
class Change:
    """A call, what has to be there before it, and the events and the duration that it leaves."""

    method: str
    before: Sequence[str]
    kinds: tuple[str, ...]
    state: str
    duration_ms: int = HOUR_MS

    def arguments(self, timer_id: str) -> dict[str, Any]:
        """Of the client's method, the id among them."""
        if self.method == "start":
            return {"id": timer_id, "hours": 1}
        keyed = {"extend": {"seconds": 60, "key": f"{timer_id}#1"}, "restart": {"key": f"{timer_id}#1"}}
        return {"id": timer_id, **keyed.get(self.method, {})}


CHANGES = (
    Change("start", (), ("started",), "running"),
    Change("extend", ("start",), ("started", "extended"), "running", HOUR_MS + 60_000),
    Change("restart", ("start",), ("started", "restarted"), "running"),
    Change("pause", ("start",), ("started", "paused"), "paused"),
    Change("resume", ("start", "pause"), ("started", "paused", "resumed"), "running"),
    Change("cancel", ("start",), ("started", "cancelled"), "cancelled"),
)


def run_replies(folder: Path, length: Length, dice: Random) -> Report:
    """Every change with its reply lost, through both clients, and every change sent several times."""
    rounds = length.pick(2, 60)
    report = Report()
    with ExitStack() as stack:
        server = stack.enter_context(ServerProcess(folder))
        proxy = stack.enter_context(Proxy(server.commands))
        direct = stack.enter_context(TimerClient(server.commands, server.events))
        drivers = [make(_impatient(proxy.endpoint)) for make in (BlockingDriver, AwaitableDriver)]
        for driver in drivers:
            stack.callback(driver.end)
        expected: dict[str, Outcome] = {}
        for number in range(rounds):
            for change in dice.sample(CHANGES, len(CHANGES)):
                for place, driver in enumerate(drivers):
                    _lose(change, f"lost/{number}/{change.method}/{place}", direct, driver, proxy, expected)
                _repeat(change, f"twice/{number}/{change.method}", direct, server.commands, expected)
            for place, driver in enumerate(drivers):
                _lose_batch(f"batch/{number}/{place}", driver, proxy, expected)
        found = audit(direct)
    events = by_timer(found.events)
    for timer_id, outcome in expected.items():
        report.violations += timer_faults(timer_id, outcome, found.timers.get(timer_id), events.get(timer_id, []))
    report.violations += [f"nobody asked for timer {timer_id}" for timer_id in events.keys() - expected.keys()]
    report.faults = rounds * len(drivers) * (len(CHANGES) + 1)
    report.events = len(found.events)
    report.lost = len(expected.keys() - found.timers.keys())
    report.figures = {
        "replies lost after the request was applied": f"{report.faults}",
        "requests sent on purpose several times": f"{rounds * len(CHANGES)}, each {COPIES * SENDERS} times",
    }
    return report


def _impatient(endpoint: str) -> Settings:
    return Settings(server=endpoint, timeout_s=2, retry_deadline_s=20, retry_min_s=0.01, retry_max_s=0.1)


def _prepare(change: Change, timer_id: str, direct: TimerClient) -> None:
    for method in change.before:
        if method == "start":
            direct.start(hours=1, id=timer_id)
        else:
            direct.pause(timer_id)


def _lose(
    change: Change, timer_id: str, direct: TimerClient, driver: Driver, proxy: Proxy, expected: dict[str, Outcome]
) -> None:
    _prepare(change, timer_id, direct)
    arguments = change.arguments(timer_id)
    if change.method != "start":
        arguments["timer"] = arguments.pop("id")
    _losing(proxy, change.method, lambda: getattr(driver, change.method)(**arguments))
    expected[timer_id] = Outcome(change.state, change.duration_ms, change.kinds)


def _lose_batch(prefix: str, driver: Driver, proxy: Proxy, expected: dict[str, Outcome]) -> None:
    specs = [TimerSpec(id=f"{prefix}/{place}", hours=1) for place in range(20)]
    _losing(proxy, "start", lambda: driver.start_many(specs))
    expected |= {spec.id: Outcome("running", HOUR_MS, ("started",)) for spec in specs}


def _losing(proxy: Proxy, method: str, call: Callable[[], object]) -> None:
    proxy.lose_reply(f'"timer.{method}"'.encode(), b'"result"')
    call()
    assert proxy.reply_lost.is_set(), "the reply came through"


def _repeat(change: Change, timer_id: str, direct: TimerClient, commands: str, expected: dict[str, Outcome]) -> None:
    """Sends the same bytes several times over several connections at once."""
    _prepare(change, timer_id, direct)
    message = json.dumps(request(f"timer.{change.method}", 1, **change.arguments(timer_id))).encode()
    with ExitStack() as stack:
        senders = [stack.enter_context(socket_to(zmq.DEALER, commands)) for _ in range(SENDERS)]
        for sender in senders * COPIES:
            sender.send(message)
        for sender in senders * COPIES:
            assert b'"result"' in sender.recv()
    expected[timer_id] = Outcome(change.state, change.duration_ms, change.kinds)
