"""APScheduler with its jobs in SQLite, in a process of its own.

Arguments: a file, how many jobs to add for `starts`, `lateness` or `plans`, and over how many seconds they are due, or
come again and again. Prints one line of JSON: `rate`, the same as the watcher, or `add_us` and `run_us` of processor
time.
"""

import json
import logging
import sys
import time
from datetime import UTC, datetime

from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler

from bench.peers.apscheduler_jobs import ended
from bench.start_requests import PAYLOAD

RUN_LIMIT_S = 60
JOB = "bench.peers.apscheduler_jobs:end"


def add(scheduler: BackgroundScheduler, name: str, due_ms: float) -> None:
    """Adds one job, which is committed to the database before this returns."""
    when = datetime.fromtimestamp(due_ms / 1000, UTC)
    scheduler.add_job(JOB, "date", run_date=when, args=(due_ms, PAYLOAD), id=name, misfire_grace_time=None)


def starts(scheduler: BackgroundScheduler, how_many: int) -> dict[str, object]:
    """Jobs a second, with a scheduler that is paused and so takes no time of its own."""
    far_ms = time.time() * 1000 + 36_000_000
    scheduler.start(paused=True)
    begun = 0.0
    warm_up = how_many // 10
    for number in range(-warm_up, how_many):
        if number == 0:
            begun = time.perf_counter()
        add(scheduler, f"order/{number}", far_ms)
    return {"rate": how_many / (time.perf_counter() - begun)}


def lateness(scheduler: BackgroundScheduler, how_many: int, spread_s: float) -> dict[str, object]:
    """How late jobs run that are due one after the other."""
    scheduler.start(paused=True)
    first_ms = time.time_ns() // 1_000_000 + 5_000
    for number in range(how_many):
        add(scheduler, f"late/{number}", first_ms + int(1000 * spread_s * number / how_many))
    assert time.time() * 1000 < first_ms, "jobs were due before all of them were added"
    scheduler.resume()
    heard = [ended.get(timeout=RUN_LIMIT_S) for _ in range(how_many)]
    took_ms = heard[-1][0] - first_ms
    return {"late_ms": [arrived_ms - due_ms for arrived_ms, due_ms in heard], "took_ms": took_ms}


def plans(scheduler: BackgroundScheduler, how_many: int, lasts_s: float) -> dict[str, object]:
    """What jobs that come every second cost to add, and each of their runs."""
    scheduler.start(paused=True)
    begun_ns = time.process_time_ns()
    for number in range(how_many):
        scheduler.add_job(JOB, "interval", seconds=1, args=(0.0, PAYLOAD), id=f"often/{number}")
    added_ns = time.process_time_ns()
    scheduler.resume()
    time.sleep(lasts_s)
    spent_ns, runs = time.process_time_ns() - added_ns, ended.qsize()
    return {"add_us": (added_ns - begun_ns) / 1000 / how_many, "run_us": spent_ns / 1000 / runs}


def main() -> None:
    path, what, how_many, spread_s = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    logging.disable()
    scheduler = BackgroundScheduler(jobstores={"default": SQLAlchemyJobStore(url=f"sqlite:///{path}")}, timezone=UTC)
    ways = {"starts": lambda: starts(scheduler, how_many), "lateness": lambda: lateness(scheduler, how_many, spread_s)}
    ways["plans"] = lambda: plans(scheduler, how_many, spread_s)
    print(json.dumps(ways[what]()), flush=True)
    scheduler.shutdown(wait=False)


if __name__ == "__main__":
    main()
