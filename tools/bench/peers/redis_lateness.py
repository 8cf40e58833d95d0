"""How late a poller hears of the ends of timers in Redis."""

import time
from collections.abc import Mapping
from functools import partial

from bench.generator import drive, lines
from bench.lateness import FIRST_DUE_S, Latenesses, size
from bench.listening import PARTS, heard_by
from bench.peers.alternative import Alternative
from bench.peers.redis_requests import bulk, scripted, together
from bench.peers.redis_server import START_SCRIPT, load_script, redis_server
from bench.run import Run
from bench.servers import line_of, python_process

SYNC = "always"
DURABILITY_OF_END = "fsync of its removal before the poller has it"


def name_of(pending: int) -> str:
    """The rows of one size."""
    return f"Redis, {SYNC}, polled every ms, {pending:,} others pending"


def heard_late(run: Run, heard: Latenesses, pending: int) -> Mapping[str, float]:
    """A repetition with a new server."""
    how_many, spread_s = size(run)
    with redis_server(SYNC) as process:
        drive(lines(process.endpoint, b":", 2), bulk("order", range(pending), 500), 1, 8)
        script = load_script(process, START_SCRIPT)
        with python_process("bench.peers.redis_poller", str(process.port), str(how_many)) as poller:
            line_of(poller)
            begin_ms = time.time_ns() // 1_000_000 + int(1000 * FIRST_DUE_S)
            due_ms = [begin_ms + int(1000 * spread_s * number / how_many) for number in range(how_many)]
            requests = together(scripted(script, "late", range(how_many), due_ms), 100)
            drive(lines(process.endpoint, b":", 100), requests, 1, 8)
            return heard.rows(name_of(pending), heard_by(poller))


def alternatives(run: Run, heard: Latenesses) -> list[Alternative]:
    """For the figure of lateness."""
    made = []
    for pending in run.pick((0,), (0, 1_000_000)):
        units = {f"{name_of(pending)}: {part}": "ms" for part in PARTS}
        made.append(Alternative(units, DURABILITY_OF_END, partial(heard_late, run, heard, pending)))
    return made
