"""What very many plans cost: memory, the time of a restart, and the server's CPU for each timer that they start."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from bench.cpu_time import process_ns
from bench.generator import drive, zmtp
from bench.peers.alternative import Alternative, rows_of
from bench.restart import first_reply_s
from bench.results import Figure, Row
from bench.run import Run
from bench.servers import FILL_IN_FLIGHT, check_running, server
from bench.start_requests import PAYLOAD, batched, start_requests
from drivers.memory import resident_bytes
from drivers.peers import request, requester
from drivers.server_process import ServerProcess

PLANS = 1_000_000
OFTEN = 20_000
PERIOD_S = 5
PUT_BATCH = 100
PUT_STEP = 20_000
SETTLE_S = 1.0
FSYNCED = "fsync before the reply"
MEMORY, SIZE = "growth of the server's resident set, a plan", "size of the database file"
PUT, OCCURRENCE = "plan.put: the server's CPU", "an occurrence, its end and the start of the next: the server's CPU"
CRASH = "first reply after kill -9"
TIMER_MEMORY, TIMER_START = "limit: growth of the resident set, a timer", "limit: timer.start: the server's CPU"
TIMER_CRASH = "limit: first reply after kill -9, as many timers"


def put(process: ServerProcess, prefix: str, count: int, **asked: object) -> None:
    """Puts so many plans `<prefix>/<number>`."""
    for begin in range(0, count, PUT_STEP):
        numbers = range(begin, min(begin + PUT_STEP, count))
        drive(zmtp(process.commands), batched(list(_puts(prefix, numbers, asked)), PUT_BATCH), 1, FILL_IN_FLIGHT)
    with requester(process.commands) as rpc:
        found = rpc.call("server.info")["plans"]
    if found != count:
        raise AssertionError(f"{count:,} plans were put, but {found:,} are there")


def _puts(prefix: str, numbers: range, asked: dict[str, object]) -> Iterator[bytes]:
    for number in numbers:
        params = {"plan": f"{prefix}/{number}", "payload": PAYLOAD, **asked}
        yield json.dumps(request("plan.put", number, **params)).encode()


def many(run: Run) -> Mapping[str, float]:
    """A repetition: very many plans whose timers are due in some hours, and a crash."""
    how_many = run.pick(5_000, PLANS)
    with server() as process:
        before_bytes, before_ns = resident_bytes(process.pid), process_ns(process.pid)
        put(process, "plan", how_many, every={"hours": 10})
        time.sleep(SETTLE_S)
        spent_ns, grown = process_ns(process.pid) - before_ns, resident_bytes(process.pid) - before_bytes
        process.kill()
        crash_s = first_reply_s(process)
        with requester(process.commands) as rpc:
            assert rpc.call("server.info")["plans"] == how_many
        size = (process.folder / "timers.db").stat().st_size
        return {MEMORY: grown / how_many, PUT: spent_ns / 1e3 / how_many, CRASH: crash_s, SIZE: size / 1e6}


def timers(run: Run) -> Mapping[str, float]:
    """A repetition of the limit: as many timers without plans."""
    how_many = run.pick(5_000, PLANS)
    with server() as process:
        before_bytes, before_ns = resident_bytes(process.pid), process_ns(process.pid)
        for begin in range(0, how_many, PUT_STEP):
            starts = start_requests("order", range(begin, min(begin + PUT_STEP, how_many)), seconds=36_000)
            drive(zmtp(process.commands), batched(starts, PUT_BATCH), 1, FILL_IN_FLIGHT)
        time.sleep(SETTLE_S)
        spent_ns, grown = process_ns(process.pid) - before_ns, resident_bytes(process.pid) - before_bytes
        process.kill()
        crash_s = first_reply_s(process)
        check_running(process, how_many)
        return {TIMER_MEMORY: grown / how_many, TIMER_START: spent_ns / 1e3 / how_many, TIMER_CRASH: crash_s}


def often(run: Run) -> Mapping[str, float]:
    """A repetition: plans that come every few seconds, for some rounds."""
    how_many, rounds = run.pick(500, OFTEN), run.pick(1, 4)
    with server() as process, requester(process.commands) as rpc:
        put(process, "often", how_many, every={"seconds": PERIOD_S})
        before, before_ns = rpc.call("server.info")["counts"]["fired"], process_ns(process.pid)
        time.sleep(rounds * PERIOD_S)
        fired, spent_ns = rpc.call("server.info")["counts"]["fired"] - before, process_ns(process.pid) - before_ns
        return {OCCURRENCE: spent_ns / 1e3 / fired}


LIMITS = {
    MEMORY: ("bytes", TIMER_MEMORY),
    PUT: ("µs", TIMER_START),
    CRASH: ("s", TIMER_CRASH),
    OCCURRENCE: ("µs", TIMER_START),
}
"""The unit of each row, and the row that bounds it."""


def measure(run: Run, peers: Sequence[Alternative] = ()) -> Figure:
    """The table."""
    ways = [partial(many, run), partial(timers, run), partial(often, run)]
    samples = run.interleaved([*ways, *(peer.way for peer in peers)])
    rows = [Row(name, unit, samples[name], limit, FSYNCED) for name, (unit, limit) in LIMITS.items()]
    limits = {limit: unit for unit, limit in LIMITS.values()}
    rows += [Row(name, unit, samples[name], durability=FSYNCED) for name, unit in limits.items()]
    rows.append(Row(SIZE, "MB", samples[SIZE]))
    return Figure("plans", f"{PLANS:,} plans", [*rows, *rows_of(peers, samples)], [NOTE])


NOTE = (
    f"Plans `every` 10 hours with payloads of 32 bytes, put in batches of {PUT_BATCH}. Memory and restart are with the"
    f" pending timer of each plan. Occurrences are those of {OFTEN:,} plans that come every {PERIOD_S} s."
    " The limits are timers without plans, started in batches as large. APScheduler's plans are jobs with an interval"
    " in SQLite, in the program's own process, added one by one; a run is one of a job that does nothing."
)
