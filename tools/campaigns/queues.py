"""Workers share the ends of a queue while they are killed one after the other, and so is the server."""

import contextlib
import signal
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count, cycle, islice
from pathlib import Path
from random import Random
from typing import Any

import zmq

from campaigns.campaign import Campaign, Length, Report
from campaigns.crash import PIPELINED
from campaigns.queue_facts import Facts
from campaigns.queue_invariants import every_end_is_settled, judge
from campaigns.queue_notes import Closed, Notebook, Planned, ServerUp, now_ms, read_notes
from drivers.peers import Requester, request, requester, socket_to
from drivers.server_process import TOOLS, ServerProcess

QUEUE, PREFIX = "work", "work/"
LEASE_MS, MAX_DELIVERIES = 1_500, 7
BACKOFF_MS = [50, 200, 800]
RETENTION_S = 2
"""So short that most ends are held behind the horizon, where only the queue keeps them."""

FIRST_S = 2.0
"""When the first timers fire: all are started by then."""

EARLY = 0.1
"""The part of the timers that fire before the queue is there, which begins with them."""

EARLY_S = 0.05
BATCH = 500
PAGE = 1_000
LOOK_S = 0.1
STUCK_S = 20.0
"""In the end, the queue is stuck where nothing has left it for so long."""


@dataclass(frozen=True)
class Storm:
    """How much of it: timers, over how long they fire, and workers; how often one and the server are killed."""

    ends: int
    for_s: float
    server_kills: int
    workers: int = 8
    worker_lives_s: float = 0.5
    server_lives_s: float = 2.0


SHORT, LONG = Storm(ends=2_000, for_s=6, server_kills=4), Storm(ends=20_000, for_s=80, server_kills=40)


class Crew:
    """Worker processes. They end with it."""

    def __init__(self, server: ServerProcess, folder: Path, dice: Random) -> None:
        self._server = server
        self._folder = folder
        self._dice = dice
        self._numbers = count(1)
        self._processes: list[subprocess.Popen[bytes]] = []
        self.ended: list[int] = []
        """Exit codes of those that were not killed."""

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill_all()

    def hire(self, how_many: int, *mode: str) -> None:
        """Starts workers."""
        for _ in range(how_many):
            name = f"worker-{next(self._numbers)}"
            arguments = (self._server.commands, QUEUE, str(self._folder), name, str(self._dice.random()), *mode)
            command = [sys.executable, "-m", "campaigns.queue_worker", *arguments]
            self._processes.append(subprocess.Popen(command, cwd=TOOLS))

    def replace_one(self) -> None:
        """Kills a worker, and starts another."""
        self._kill(self._processes.pop(self._dice.randrange(len(self._processes))))
        self.hire(1)

    def kill_all(self) -> None:
        """Leaves nobody."""
        while self._processes:
            self._kill(self._processes.pop())

    def _kill(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()
        if (code := process.wait(10)) != -signal.SIGKILL:
            self.ended.append(code)


def storm(folder: Path, dice: Random, plan: Storm) -> Report:
    """Kills workers and servers, the real one in turns with one whose commits take their time."""
    server = ServerProcess(folder, {"TIMER_RETENTION_S": str(RETENTION_S)})
    notes = Notebook(folder, "campaign")
    with contextlib.closing(notes), server, Crew(server, folder, dice) as crew:
        timer_ids = _start_timers(server, dice, plan)
        notes.write(Planned(timer_ids, QUEUE, LEASE_MS, MAX_DELIVERIES))
        notes.write(ServerUp(server.module, 0, 0, now_ms()))
        crew.hire(plan.workers)
        with ThreadPoolExecutor(1) as thread:
            killing = thread.submit(_kill_servers, server, plan, notes)
            faults = _kill_workers(crew, plan, killing) + killing.result()
        crew.kill_all()
        crew.hire(2, "drain")
        _drain(server, notes)
    report = _report(folder, faults)
    report.violations += [f"a worker ended by itself, with {code}" for code in crew.ended]
    return report


def _start_timers(server: ServerProcess, dice: Random, plan: Storm) -> list[str]:
    """Starts the timers, and makes the queue when the first of them have fired. Returns all ids."""
    timer_ids = [f"{PREFIX}{number}" for number in range(plan.ends)]
    early = timer_ids[: int(plan.ends * EARLY)]
    with requester(server.commands) as rpc, socket_to(zmq.REQ, server.commands) as socket:
        _start(socket, dict.fromkeys(early, EARLY_S))
        for timer_id in early:
            rpc.call("timer.wait", id=timer_id, wait_ms=10_000)
        settings = {"lease_ms": LEASE_MS, "max_deliveries": MAX_DELIVERIES, "backoff_ms": BACKOFF_MS}
        rpc.call("queue.put", queue=QUEUE, prefix=PREFIX, **{"from": "start"}, **settings)
        later = timer_ids[len(early) :]
        _start(socket, {timer_id: round(FIRST_S + dice.uniform(0, plan.for_s), 3) for timer_id in later})
    return timer_ids


def _start(socket: zmq.Socket[bytes], seconds: dict[str, float]) -> None:
    timer_ids = list(seconds)
    for begin in range(0, len(timer_ids), BATCH):
        batch = timer_ids[begin : begin + BATCH]
        socket.send_json(
            [request("timer.start", one, id=one, seconds=seconds[one], payload={"to": one}) for one in batch]
        )
        assert b'"error"' not in socket.recv()


def _kill_workers(crew: Crew, plan: Storm, meanwhile: "Future[int]") -> int:
    """Kills a worker again and again while something else goes on, and returns how many."""
    kills = 0
    while not meanwhile.done():
        time.sleep(plan.worker_lives_s)  # the pace is the point
        crew.replace_one()
        kills += 1
    return kills


def _kill_servers(server: ServerProcess, plan: Storm, notes: Notebook) -> int:
    """Kills the server so many times, and returns how often. Every other one after it has turns in flight."""
    for module in islice(cycle([PIPELINED, server.module]), plan.server_kills):
        time.sleep(plan.server_lives_s)  # the pace is the point
        killed_ms = now_ms()
        server.kill()
        server.module = module
        launched_ms = now_ms()
        server.start()
        notes.write(ServerUp(server.module, killed_ms, launched_ms, now_ms()))
    return plan.server_kills


def _drain(server: ServerProcess, notes: Notebook) -> None:
    """Waits until the queue holds dead letters only, as long as it becomes less, and notes how it stands."""
    least, until_s = None, 0.0
    with requester(server.commands) as rpc:
        while True:
            queue = rpc.call("queue.get", queue=QUEUE)
            left = queue["ready"] + queue["leased"] + queue["delayed"]
            if least is None or left < least:
                least, until_s = left, time.monotonic() + STUCK_S
            if not left or time.monotonic() > until_s:
                break
            time.sleep(LOOK_S)
        notes.write(Closed(queue, _dead_letters(rpc)))


def _dead_letters(rpc: Requester) -> list[dict[str, Any]]:
    letters: list[dict[str, Any]] = []
    after = None
    while True:
        page = rpc.call("queue.dead", queue=QUEUE, after=after, limit=PAGE)
        letters += page["dead"]
        after = page["next"]
        if after is None:
            return letters


def _report(folder: Path, faults: int) -> Report:
    notes = read_notes(folder)
    violations, facts = judge(notes), Facts.of(notes)
    acknowledged = sum(any(lease.is_acknowledged for lease in leases) for leases in facts.ends.values())
    unheard = len(facts.plan.timer_ids) - acknowledged - len(facts.dead)
    tries = [told.tries for _, told in facts.calls if told is not None]
    return Report(
        faults=faults,
        requests=sum(tries),
        events=len(facts.leases),
        lost=sum(violation.invariant == every_end_is_settled.__name__ for violation in violations),
        violations=list(map(str, violations)),
        figures={
            "ends": f"{len(facts.plan.timer_ids):,} = {acknowledged:,} acknowledged + {len(facts.dead):,} dead + "
            f"{unheard:,} of which only the worker is gone that would have heard",
            "servers killed": f"{len(facts.servers) - 1:,}",
            "retries": f"{sum(tries) - len(tries):,}",
            "leases": f"{len(facts.leases):,}",
        },
    )


def _run(folder: Path, length: Length, dice: Random) -> Report:
    return storm(folder, dice, SHORT if length is Length.SHORT else LONG)


CAMPAIGN = Campaign(
    "queues",
    "While one of eight workers is killed every half second and the server every two, every end of a queue is "
    "acknowledged or dead, none is acknowledged twice or leased to two at once, and nothing is left.",
    _run,
    least_faults=12,
    least_requests=1_000,
)
