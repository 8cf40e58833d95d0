"""Very many timers pending: what they cost in memory, at a restart, and whether a start costs more for them."""

from contextlib import ExitStack

import zmq

from bench.cpu_time import process_ns
from bench.growth import Held, start_and_cancel
from bench.guarded.ratio import Ratio, Ratios
from bench.servers import fill, server
from bench.spread import median
from bench.start_requests import PAYLOAD_JSON
from drivers.memory import resident_bytes
from drivers.peers import requester, socket_to
from drivers.server_process import ServerProcess

FEW, MANY = 1_000, 100_000
ROUNDS = 30
RESTARTS = 3
GIVEN_BYTES = len("order/99999") + len(PAYLOAD_JSON)

MEMORY = Ratio("an id and its payload against the memory of a pending timer", 0.1)
RESTART = Ratio(f"a restart with {FEW:,} pending against one with {MANY:,}", 0.25)
GROWTH = Ratio(f"a start with {FEW:,} pending against one with {MANY:,}", 0.5)


def measured() -> Ratios:
    """All three, of two servers side by side."""
    with server(FEW) as few, server() as many:
        before_bytes = resident_bytes(many.pid)
        fill(many, MANY)
        grown_bytes = (resident_bytes(many.pid) - before_bytes) / MANY
        growth = _growth(few, many)
        restart = [_restart_ns(few) / _restart_ns(many) for _ in range(RESTARTS)]
        return {MEMORY: GIVEN_BYTES / grown_bytes, GROWTH: growth, RESTART: median(restart)}


def _growth(*servers: ServerProcess) -> float:
    with ExitStack() as stack:
        held = [
            Held(pending, process, stack.enter_context(socket_to(zmq.REQ, process.commands)))
            for pending, process in zip((FEW, MANY), servers, strict=True)
        ]
        spent_ns: list[list[int]] = [[], []]
        for number in range(ROUNDS + 1):
            for one, spent in zip(held, spent_ns, strict=True):
                one.rounds += 1
                before_ns = process_ns(one.process.pid)
                start_and_cancel(one)
                if number:  # the first warms up
                    spent.append(process_ns(one.process.pid) - before_ns)
        few_ns, many_ns = map(median, spent_ns)
        return few_ns / many_ns


def _restart_ns(process: ServerProcess) -> int:
    """The time that the process has run for until its first reply."""
    process.kill()
    process.start()
    with requester(process.commands) as rpc:
        assert rpc.call("timer.list", limit=1)["timers"]
    return process_ns(process.pid)
