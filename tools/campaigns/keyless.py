"""Extensions without a key, each asked once, while the servers that own the timers are killed."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from random import Random

import zmq

from campaigns.asker import Asker
from campaigns.campaign import Campaign, Length, Report
from campaigns.faults_of_servers import FaultsOfServers
from campaigns.on_postgres import (
    BESIDE_TESTS_S,
    SERVERS,
    TAKEN_WITHIN_S,
    judged,
    servers_on,
    trial_of,
    where_postgres_is,
)
from campaigns.script import PREFIX
from campaigns.trial import whole_log
from campaigns.workload import Load
from drivers.peers import Requester, socket_to
from drivers.postgres import Cluster
from timer_protocol.messages import Event

SHORT_KILLS, LONG_KILLS = 3, 20
REPLIES_BETWEEN = 30
ONE_EFFECT = "a_keyless_change_has_one_effect"
OWN = "keyless/"
TIMERS = 20
REPLY_LIMIT_MS = 6_000
"""Longer than a server lets a request wait."""

LOAD = Load(plain=1, library=1, watchers=1, own_prefix=PREFIX)


@dataclass(frozen=True)
class Extension:
    """One that was asked once: of which timer, by how much, which no other is, and whether it was acknowledged."""

    timer_id: str
    by_ms: int
    is_acknowledged: bool


class Extending:
    """While entered, extends timers without a key, and asks nothing twice: whoever loses an answer does not know."""

    def __init__(self, endpoints: str) -> None:
        self.asked: list[Extension] = []
        self._endpoints = endpoints.split(",")
        self._is_over = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(number, endpoint), daemon=True)
            for number, endpoint in enumerate(self._endpoints)
        ]

    def __enter__(self) -> "Extending":
        asker = Asker(",".join(self._endpoints))  # a start with its id may be asked again
        for number in range(TIMERS):
            asker.result("timer.start", id=f"{OWN}{number}", hours=10)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(2 * REPLY_LIMIT_MS / 1000)

    def _run(self, number: int, endpoint: str) -> None:
        timers = cycle(range(TIMERS))
        amounts = iter(range(number + 1, 10**9, len(self._threads)))
        while not self._is_over.is_set():
            with socket_to(zmq.REQ, endpoint, rcvtimeo=REPLY_LIMIT_MS) as socket:
                rpc = Requester(socket)
                for extension in self._extend(rpc, timers, amounts):
                    self.asked.append(extension)
                    if not extension.is_acknowledged:
                        break

    def _extend(self, rpc: Requester, timers: Iterator[int], amounts: Iterator[int]) -> Iterator[Extension]:
        while not self._is_over.is_set():
            timer_id, by_ms = f"{OWN}{next(timers)}", next(amounts)
            try:
                response = rpc.response("timer.extend", id=timer_id, seconds=by_ms / 1000)
            except (zmq.ZMQError, json.JSONDecodeError):
                response = {}
            yield Extension(timer_id, by_ms, "result" in response)


def applied_as_asked(asked: list[Extension], log: list[Event]) -> Iterator[str]:
    """Each was applied once where it was acknowledged, and at most once where nobody knows."""
    applied: Counter[tuple[str, int]] = Counter()
    durations_ms: dict[str, int] = {}
    for event in log:
        before_ms = durations_ms.get(event.timer.id, event.timer.duration_ms)
        if event.kind == "extended":
            applied[event.timer.id, event.timer.duration_ms - before_ms] += 1
        durations_ms[event.timer.id] = event.timer.duration_ms
    for one in asked:
        times = applied.pop((one.timer_id, one.by_ms), 0)
        if times > 1 or times < one.is_acknowledged:
            told = "acknowledged" if one.is_acknowledged else "asked for once"
            yield f"{ONE_EFFECT}: {one.timer_id} by {one.by_ms} ms was {told}, and applied {times} times"
    for (timer_id, by_ms), times in applied.items():
        yield f"{ONE_EFFECT}: {timer_id} by {by_ms} ms was applied {times} times; nobody asked for it"


def play(
    folder: Path, dice: Random, kills: int, sabotage: str = "", servers: int = SERVERS, late_s: float = TAKEN_WITHIN_S
) -> Report:
    """So many kills, each of any server."""
    with Cluster(standbys=1) as postgres:
        company = servers_on(folder, [postgres.url()] * servers, sabotage)
        log: list[Event] = []
        with trial_of(company, folder, dice, LOAD) as trial:
            faults = FaultsOfServers(trial, postgres, {}, dice)
            with Extending(company.commands) as extending:
                for _ in range(kills):
                    trial.progress(REPLIES_BETWEEN)
                    time.sleep(dice.random())  # the moment of the fault is the point
                    faults.kill()
            trial.settle()
            log = whole_log(Asker(company.commands), OWN)
        report = judged(trial, kills, postgres.url(), late_s, forgiven=servers == 1)
    report.violations += applied_as_asked(extending.asked, log)
    unknown = sum(not one.is_acknowledged for one in extending.asked)
    report.figures["keyless"] = f"{len(extending.asked):,} extensions, of which {unknown:,} without an answer"
    return report


@where_postgres_is
def _run(folder: Path, length: Length, dice: Random) -> Report:
    if length is Length.SHORT:
        return play(folder, dice, SHORT_KILLS, late_s=TAKEN_WITHIN_S + BESIDE_TESTS_S)
    return play(folder, dice, LONG_KILLS)


CAMPAIGN = Campaign(
    "keyless",
    "Timers are extended without a key, each time once, while their owners are killed: what was acknowledged was "
    "applied once, and nothing is ever applied twice, whoever passes it on.",
    _run,
    least_faults=SHORT_KILLS,
    least_requests=100,
)
