"""A herd: very many timers due in the same second, while a client goes on asking."""

from pathlib import Path
from random import Random

import msgspec
import zmq

from bench.herd import asked_by, asker
from campaigns.campaign import Campaign, Length, Report
from campaigns.load_beside import load_beside
from campaigns.samples import percentiles_ms, wall_ms
from drivers.peers import Requester, request, requester, socket_to
from timer_protocol import messages

BATCH = 500
HEARING_LIMIT_MS = 60_000


def start(endpoint: str, how_many: int, due_ms: float) -> None:
    """Starts timers that are due at the same moment, give or take what a batch takes on its way."""
    with socket_to(zmq.REQ, endpoint) as socket:
        for begin in range(0, how_many, BATCH):
            numbers = range(begin, min(begin + BATCH, how_many))
            seconds = round((due_ms - wall_ms()) / 1000, 3)
            socket.send_json([request("timer.start", n, id=f"herd/{n}", seconds=seconds) for n in numbers])
            assert b'"error"' not in socket.recv()


def hear(socket: zmq.Socket[bytes], how_many: int) -> tuple[list[str], list[float], float]:
    """The ids in the order of their ends, how late each was heard, and when the first was due."""
    decode = msgspec.json.Decoder(messages.Event).decode
    ids: list[str] = []
    late_ms: list[float] = []
    first_due_ms = float("inf")
    while len(ids) < how_many and socket.poll(HEARING_LIMIT_MS):
        topic, body = socket.recv_multipart()
        now_ms = wall_ms()
        if topic.endswith(b" fired"):
            timer = decode(body).timer
            assert timer.due_at_ms is not None
            ids.append(timer.id)
            late_ms.append(now_ms - timer.due_at_ms)
            first_due_ms = min(first_due_ms, timer.due_at_ms)
    return ids, late_ms, first_due_ms


def count_fired(rpc: Requester) -> int:
    """How many of the herd the server lists as fired."""
    count, selection = 0, {"prefix": "herd/", "state": "fired", "limit": 1000}
    while True:
        page = rpc.call("timer.list", **selection)
        count += len(page["timers"])
        if page["next"] is None:
            return count
        selection["after"] = page["next"]


def run(folder: Path, length: Length, dice: Random) -> Report:
    """Starts the herd, then hears it out."""
    how_many = length.pick(5_000, 100_000)
    report = Report()
    with (
        load_beside(folder, dice, report, watchers=0) as server,  # a watcher here would hear the herd late
        socket_to(zmq.SUB, server.events, rcvhwm=0) as socket,
    ):
        socket.subscribe(b"herd/")
        start(server.commands, how_many, wall_ms() + length.pick(2_000, 15_000))
        with asker(server.commands) as asking:
            ids, late_ms, first_due_ms = hear(socket, how_many)
            all_heard_ms = wall_ms() - first_due_ms
            took_ms = asked_by(asking)
        with requester(server.commands) as rpc:
            fired = count_fired(rpc)
    report.violations += check(ids, late_ms, fired, how_many)
    report.lost += how_many - len(set(ids))
    report.requests += how_many + len(took_ms)
    report.events += len(ids)
    report.figures = {
        "due at once": f"{how_many:,}, all heard {all_heard_ms:.0f} ms after the first was due",
        "late": percentiles_ms(late_ms),
        "requests meanwhile": percentiles_ms(took_ms),
    }
    return report


def check(ids: list[str], late_ms: list[float], fired: int, how_many: int) -> list[str]:
    """What is not as it should be."""
    violations = []
    if sorted(ids) != sorted(f"herd/{number}" for number in range(how_many)):
        violations.append(f"{len(set(ids))} of {how_many} were heard, {len(ids) - len(set(ids))} of them twice")
    if fired != how_many:
        violations.append(f"{fired} of {how_many} have fired")
    if min(late_ms, default=0) < 0:
        violations.append(f"one was heard {-min(late_ms):.2f} ms early")
    return violations


CAMPAIGN = Campaign(
    "herd",
    "However many timers are due in the same second, all fire and are heard, once each, and requests are answered"
    " meanwhile.",
    run,
    least_requests=5_000,
)
