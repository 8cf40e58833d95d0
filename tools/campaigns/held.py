"""Load held: very many timers pending, and mixed traffic on top of them for minutes."""

import itertools
import json
import time
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random
from threading import Thread
from typing import Any

import zmq

from bench.generator import drive, zmtp
from campaigns.campaign import Campaign, Length, Report
from campaigns.samples import Sampler, growth, percentiles_ms, wall_ms
from drivers.memory import MIB
from drivers.peers import request, requester, socket_to
from drivers.server_process import ServerProcess
from timer_client import ClientClosed, TimerClient

RETENTION_S = 20
MAY_GROW = 0.1
"""A leak grows with the traffic; caches, freed pages and the allocator move a little."""

TICK_S = 0.05
STARTS_A_TICK = 20
SHORTEST_S, LONGEST_S = 0.5, 3.0
TO_BE_CHANGED_S = 2.5
"""How long a timer runs that is changed a tick later: longer than two batches take where the machine has no time."""

DRAIN_S = 20.0
PLANS = ("fire", "cancel", "pause", "extend", "restart")


def pending_batches(how_many: int) -> list[bytes]:
    """Batches that start timers which stay pending throughout."""
    batches = []
    for begin in range(0, how_many, 500):
        numbers = range(begin, min(begin + 500, how_many))
        requests = [request("timer.start", n, id=f"kept/{n}", hours=1 + n % 100, payload="x" * 30) for n in numbers]
        batches.append(json.dumps(requests).encode())
    return batches


class Traffic:
    """Starts short timers all the time and does to each, a tick later, what its plan says. `plans` is by id."""

    def __init__(self, endpoint: str, dice: Random) -> None:
        self._endpoint = endpoint
        self._dice = dice
        self._numbers = itertools.count()
        self.plans: dict[str, str] = {}
        self.requests = 0
        self.failed: list[str] = []
        self.took_ms: list[float] = []

    def run(self, until_s: float) -> None:
        """Sends a batch a tick until a moment of the monotonic clock."""
        before: list[str] = []
        with socket_to(zmq.REQ, self._endpoint, rcvtimeo=30_000) as socket:
            while time.monotonic() < until_s:
                begun_s = time.monotonic()
                fresh = [self._plan() for _ in range(STARTS_A_TICK)]
                starts = [request("timer.start", n, id=n, seconds=self._seconds(n)) for n in fresh]
                self._send(socket, [*starts, *self._changes(before), request("timer.list", "page", limit=20)])
                self.took_ms.append((time.monotonic() - begun_s) * 1000)
                before = fresh
                time.sleep(max(begun_s + TICK_S - time.monotonic(), 0))  # the rate is the point
            self._send(socket, self._changes(before) or [request("server.info", "end")])

    def _plan(self) -> str:
        timer_id = f"busy/{next(self._numbers)}"
        self.plans[timer_id] = self._dice.choice(PLANS)
        return timer_id

    def _seconds(self, timer_id: str) -> float:
        shortest_s = SHORTEST_S if self.plans[timer_id] == "fire" else TO_BE_CHANGED_S
        return round(self._dice.uniform(shortest_s, LONGEST_S), 3)

    def _changes(self, timer_ids: list[str]) -> list[dict[str, Any]]:
        changes = []
        for timer_id in timer_ids:
            match self.plans[timer_id]:
                case "cancel":
                    changes.append(request("timer.cancel", timer_id, id=timer_id))
                case "pause":
                    changes.append(request("timer.pause", timer_id, id=timer_id))
                    changes.append(request("timer.resume", timer_id, id=timer_id))
                case "extend":
                    changes += [request("timer.extend", timer_id, id=timer_id, seconds=0.5, key="k")] * 2
                case "restart":
                    changes.append(request("timer.restart", timer_id, id=timer_id, key="k"))
        return changes

    def _send(self, socket: zmq.Socket[bytes], requests: list[dict[str, Any]]) -> None:
        self.requests += len(requests)
        socket.send_json(requests)
        self.failed += [str(reply["error"]) for reply in json.loads(socket.recv()) if "error" in reply]


class Ends:
    """Hears the ends of the short timers, in a thread, each with how late it came."""

    def __init__(self, client: TimerClient, after: dict[str, int]) -> None:
        self.fired: Counter[str] = Counter()
        self.late_ms: list[float] = []
        self._events = client.events("busy/", after=after)
        self._thread = Thread(target=self._run, daemon=True)

    def hear(self) -> None:
        """Begins to listen."""
        self._thread.start()

    def _run(self) -> None:
        with suppress(ClientClosed):
            for event in self._events:
                if event.kind == "fired":
                    assert event.timer.due_at_ms is not None
                    self.late_ms.append(wall_ms() - event.timer.due_at_ms)
                    self.fired[event.timer.id] += 1


def run(folder: Path, length: Length, dice: Random) -> Report:
    """Holds the load, then compares what was heard with what was asked."""
    pending = length.pick(5_000, 1_000_000)
    held_s = length.pick(6, 600)
    report = Report()
    settings = {"TIMER_RETENTION_S": str(RETENTION_S if length is Length.LONG else 1), "TIMER_MAX_TIMERS": "2000000"}
    with ExitStack() as stack:
        server = stack.enter_context(ServerProcess(folder, settings))
        drive(zmtp(server.commands), pending_batches(pending), 1, 8)
        rpc = stack.enter_context(requester(server.commands))
        client = stack.enter_context(TimerClient(server=server.commands, events=server.events))
        ends = Ends(client, rpc.call("server.info")["cursor"])
        ends.hear()
        traffic = Traffic(server.commands, dice)
        with Sampler(server, held_s / 100) as samples:
            traffic.run(time.monotonic() + held_s)
        await_ends(traffic, ends)
        counts = rpc.call("server.info")["counts"]
    report.violations += check(traffic, ends, counts["running"], pending)
    report.violations += [
        f"the server's {what} grew by {growth(sizes):.0%}"
        for what, sizes in (("memory", samples.memory_bytes), ("disk", samples.disk_bytes))
        if length is Length.LONG and growth(sizes) > MAY_GROW
    ]
    report.lost = sum(timer_id not in ends.fired for timer_id, plan in traffic.plans.items() if plan != "cancel")
    report.requests, report.events = traffic.requests, ends.fired.total()
    report.figures = {
        "pending": f"{pending:,} for {held_s} s",
        "ends": f"late {percentiles_ms(ends.late_ms)}",
        "batches of 40": percentiles_ms(traffic.took_ms),
        "memory": f"{samples.memory_bytes[-1] / MIB:.0f} MiB, {growth(samples.memory_bytes):+.1%}",
        "disk": f"{samples.disk_bytes[-1] / MIB:.0f} MiB, {growth(samples.disk_bytes):+.1%}",
    }
    return report


def await_ends(traffic: Traffic, ends: Ends) -> None:
    """Waits until all have ended that are to end, or it is clear that they do not."""
    expected = sum(plan != "cancel" for plan in traffic.plans.values())
    until_s = time.monotonic() + DRAIN_S
    while ends.fired.total() < expected and time.monotonic() < until_s:
        time.sleep(0.05)


def check(traffic: Traffic, ends: Ends, running: int, pending: int) -> list[str]:
    """What is not as it should be."""
    violations = [f"a request failed: {error}" for error in traffic.failed[:3]]
    for timer_id, plan in traffic.plans.items():
        expected = 0 if plan == "cancel" else 1
        if ends.fired[timer_id] != expected:
            violations.append(f"{timer_id}, {plan}, fired {ends.fired[timer_id]} times, not {expected}")
    violations += [f"{timer_id} fired and was never started" for timer_id in ends.fired.keys() - traffic.plans.keys()]
    if running != pending:
        violations.append(f"{running} timers run on, not {pending}")
    early_ms = min(ends.late_ms, default=0)
    if early_ms < 0:
        violations.append(f"an end was heard {-early_ms:.2f} ms early")
    return violations


CAMPAIGN = Campaign(
    "held",
    "With very many timers pending and mixed traffic on top, every timer fires once and on time, cancelled ones do not,"
    " and neither memory nor disk grows once retention prunes.",
    run,
    least_requests=1_000,
)
