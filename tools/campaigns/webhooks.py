"""An endpoint fails in every way and is gone for a while, and the sender of webhooks is killed every second."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import zmq

from campaigns.campaign import Campaign, Length, Report
from campaigns.hasty_webhooks import LEASE_MS
from campaigns.webhook_invariants import Facts, every_end_is_delivered, judge_webhooks
from drivers.peers import request, requester, socket_to
from drivers.sender_process import SenderProcess
from drivers.server_process import ServerProcess
from drivers.webhook_receiver import Receiver, redirecting_to

QUEUE, PREFIX = "hooks", "hook/"
SECRET = "whsec_" + "dGltZXJzIGFyZSB0b2xkIHRvIHRoZSBlbmRwb2ludA=="
HASTY = "campaigns.hasty_webhooks"
FIRST_S = 0.5
BATCH = 500
LIFE_S = 1.0
"""How long a sender lives once it takes from the queue."""

MOOD_S = 0.3
MOODS = ("ok", "failing", "hanging", "redirecting", "closing", "nonsense")
LOOK_S = 0.1
STUCK_S = 60.0
"""In the end, the queue is stuck where nothing has left it for so long."""


@dataclass(frozen=True)
class Storm:
    """How much of it: timers, over how long they fire, kills of the sender, and how long the endpoint is gone."""

    ends: int
    for_s: float
    kills: int
    gone_s: float


SHORT, LONG = Storm(ends=300, for_s=6, kills=6, gone_s=3), Storm(ends=5_000, for_s=200, kills=150, gone_s=150)


def storm(folder: Path, dice: Random, plan: Storm, sabotage: str = "") -> Report:
    """Runs it, and judges what the endpoint was asked."""
    with ServerProcess(folder) as server, Receiver() as receiver, Receiver() as elsewhere:
        receiver.moods["redirecting"] = redirecting_to(elsewhere.url)
        write_config(folder, receiver.url)
        timer_ids = _start_timers(server, dice, plan)
        sender = SenderProcess(folder, server.commands, HASTY, SABOTAGE=sabotage)
        midway, over = threading.Event(), threading.Event()
        with ThreadPoolExecutor(1) as thread:
            moods = thread.submit(_change_moods, receiver, dice, plan.gone_s, midway, over)
            try:
                for kills in range(plan.kills):
                    if kills == plan.kills // 2:
                        midway.set()
                    sender.start()
                    time.sleep(LIFE_S)  # the pace is the point
                    sender.kill()
            finally:
                over.set()
            faults = plan.kills + moods.result()
        with sender:
            queue = drained(server)
        return _report(Facts.of(timer_ids, SECRET, receiver.received, len(elsewhere.received), queue), faults)


def write_config(folder: Path, url: str) -> None:
    """Writes the file of the sender, with one endpoint on this machine."""
    (folder / "webhooks.toml").write_text(
        f'[endpoints.it]\nqueue = "{QUEUE}"\nprefix = "{PREFIX}"\nurl = "{url}"\nsecrets = ["{SECRET}"]\n'
        'allow = ["127.0.0.1/32"]\n'
    )
    (folder / "webhooks.toml").chmod(0o600)


def _start_timers(server: ServerProcess, dice: Random, plan: Storm) -> list[str]:
    """Makes the queue, and starts the timers. Returns their ids."""
    timer_ids = [f"{PREFIX}{number}" for number in range(plan.ends)]
    with requester(server.commands) as rpc, socket_to(zmq.REQ, server.commands) as socket:
        rpc.call("queue.put", queue=QUEUE, prefix=PREFIX, lease_ms=LEASE_MS, max_deliveries=0)
        for begin in range(0, len(timer_ids), BATCH):
            socket.send_json(
                [
                    request("timer.start", one, id=one, seconds=round(FIRST_S + dice.uniform(0, plan.for_s), 3))
                    for one in timer_ids[begin : begin + BATCH]
                ]
            )
            assert b'"error"' not in socket.recv()
    return timer_ids


def _change_moods(
    receiver: Receiver, dice: Random, gone_s: float, midway: threading.Event, over: threading.Event
) -> int:
    """Has the endpoint answer differently again and again, and be gone once. Returns how often."""
    changes, was_gone = 0, False
    while not over.is_set():
        if midway.is_set() and not was_gone:
            was_gone = True
            changes += 1
            receiver.go_away()
            over.wait(gone_s)
            receiver.come_back()
        receiver.mood = dice.choice(MOODS)
        changes += 1
        over.wait(MOOD_S)
    receiver.mood = "ok"
    return changes


def drained(server: ServerProcess) -> dict[str, Any]:
    """The queue, once it holds nothing more, or nothing has left it for long."""
    least, until_s = None, 0.0
    with requester(server.commands) as rpc:
        while True:
            pending: int = rpc.call("server.info")["counts"]["running"]
            queue: dict[str, Any] = rpc.call("queue.get", queue=QUEUE)
            left = pending + queue["ready"] + queue["leased"] + queue["delayed"]
            if least is None or left < least:
                least, until_s = left, time.monotonic() + STUCK_S
            if not left or time.monotonic() > until_s:
                return queue
            time.sleep(LOOK_S)


def _report(facts: Facts, faults: int) -> Report:
    violations = judge_webhooks(facts)
    return Report(
        faults=faults,
        requests=len(facts.attempts),
        events=len(facts.timer_ids),
        lost=sum(violation.invariant == every_end_is_delivered.__name__ for violation in violations),
        violations=list(map(str, violations)),
        figures={
            "ends": f"{len(facts.timer_ids):,}",
            "attempts that reached the endpoint": f"{len(facts.attempts):,}",
        },
    )


def _run(folder: Path, length: Length, dice: Random) -> Report:
    return storm(folder, dice, SHORT if length is Length.SHORT else LONG)


CAMPAIGN = Campaign(
    "webhooks",
    "While an endpoint answers 500, hangs, redirects, closes, talks nonsense and is gone for a while, and the sender "
    "is killed every second, every end is delivered at least once, under the same id each time, and none comes out of "
    "nowhere.",
    _run,
    least_faults=12,
    least_requests=300,
)
