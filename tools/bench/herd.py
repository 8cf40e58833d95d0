"""A herd: very many timers due in the same second, while a client goes on asking one thing after another."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from subprocess import Popen

import zmq

from bench.listening import heard_by, watcher
from bench.results import Figure, Row, at_most
from bench.run import Run
from bench.servers import line_of, python_process, server
from bench.spread import percentile
from campaigns.samples import wall_ms
from drivers.peers import request, requester, socket_to

HERD = 100_000
MILLION = 1_000_000
DUE_IN_MS = {HERD: 9_000, MILLION: 45_000}
AIM_ALL_MS = {HERD: 500, MILLION: 5_000}
AIM_REQUEST_MS = 50
IN_COLUMNS = 500
ALL = "first deadline until all were heard"
ASKED = {50: "a request meanwhile: p50", 99: "a request meanwhile: p99", 100: "a request meanwhile: longest"}


def start(endpoint: str, how_many: int, due_ms: float) -> None:
    """Starts timers that are due at the same moment, give or take what a message takes on its way."""
    with socket_to(zmq.REQ, endpoint) as socket:
        for begin in range(0, how_many, IN_COLUMNS):
            ids = [f"herd/{number}" for number in range(begin, min(begin + IN_COLUMNS, how_many))]
            seconds = round((due_ms - wall_ms()) / 1000, 3)
            socket.send_json(request("timer.start_many", begin, ids=ids, seconds=seconds))
            reply = socket.recv()
            assert b'"started":%d' % len(ids) in reply, reply[:300]


@contextmanager
def asker(endpoint: str) -> Iterator["Popen[str]"]:
    """A client that asks one thing after another. It has a process of its own: in this one, each request would wait
    while what a watcher has heard is read, which takes as long as a hundred of them."""
    with python_process("bench.asker", endpoint) as process:
        if line_of(process) != "asking":
            raise RuntimeError("the client did not come to ask")
        yield process


def asked_by(process: "Popen[str]") -> list[float]:
    """Has a client stop asking, and returns how long each of its requests took, in order of that."""
    assert process.stdin is not None
    process.stdin.close()
    return sorted(json.loads(line_of(process))["took_ms"])


def stampede(run: Run, herd: int) -> Mapping[str, float]:
    """A repetition with a new server."""
    how_many = run.pick(5_000, herd)
    with server() as process, watcher(process.events, "herd/", how_many) as listener:
        due_ms = wall_ms() + run.pick(2_000, DUE_IN_MS[herd])
        start(process.commands, how_many, due_ms)
        left_s = (due_ms - wall_ms()) / 1000
        assert left_s > 0, "the timers were due before all of them were started"
        time.sleep(max(0.0, left_s - 1))
        with asker(process.commands) as asking:
            heard = heard_by(listener)
            took_ms = asked_by(asking)
        with requester(process.commands) as rpc:
            fired = rpc.call("server.info")["counts"]["fired"]
    assert fired == how_many == len(heard.late_ms), f"{fired} of {how_many} have fired"
    return {ALL: heard.took_ms} | {name: percentile(took_ms, percent) for percent, name in ASKED.items()}


def measure(run: Run, herd: int = HERD) -> Figure:
    """The table."""
    samples = run.interleaved([partial(stampede, run, herd)])
    name = "herd" if herd == HERD else "herd-million"
    rows = [Row(row, "ms", values) for row, values in samples.items()]
    figure = Figure(name, f"A herd of {herd:,}", rows, [f"{herd:,} {NOTE}"])
    whole, longest = figure.row(ALL), figure.row(ASKED[100])
    whole.durability = "fsync before the event"
    whole.aims.append(at_most(f"{AIM_ALL_MS[herd]:,} ms", whole.median, AIM_ALL_MS[herd]))
    longest.aims.append(at_most(f"{AIM_REQUEST_MS} ms, in every repetition", max(longest.samples), AIM_REQUEST_MS))
    return figure


NOTE = (
    "timers due in the same second, one watcher in a process of its own, and a REQ client in another that starts one"
    " timer after another, from a second before the first deadline until all were heard."
)
