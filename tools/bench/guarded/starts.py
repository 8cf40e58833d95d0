"""Starts in columns, in batches, of fifty clients and of one."""

from itertools import count

from bench.generator import drive, zmtp
from bench.guarded.beside_echo import beside_echo
from bench.guarded.costs import ALONE, CLIENTS, MESSAGES, Echo, append_us, ask_alone, cost_us
from bench.guarded.ratio import Ratio, Ratios
from bench.start_requests import batched, in_columns, start_requests
from drivers.server_process import ServerProcess

REPETITIONS = 3
MANY = 10_000
COLUMNS, BATCH = 500, 100

IN_COLUMNS = Ratio("an echo against a start in columns", 3.0)
IN_BATCHES = Ratio("an echo against a start in batches", 1.0)
OF_FIFTY = Ratio("an echo against a start of one of 50 clients", 0.17)
OF_ONE = Ratio("an echo and an append against a start of the only client", 0.2)

_numbers = count(1)


def measured() -> Ratios:
    """All of them, side by side."""
    return beside_echo(_once, REPETITIONS)


def _once(process: ServerProcess, reference: Echo) -> Ratios:
    prefix, target, pid = f"order{next(_numbers)}", zmtp(process.commands), process.pid
    columns = in_columns(f"{prefix}/columns", range(MANY), COLUMNS)
    batches = batched(start_requests(f"{prefix}/batch", range(MANY)), BATCH)
    crowd = start_requests(f"{prefix}/crowd", range(MESSAGES))
    alone = start_requests(f"{prefix}/alone", range(ALONE))
    echo_us = reference.crowd_us()
    bare_us = reference.alone_us() + append_us()
    return {
        IN_COLUMNS: echo_us / cost_us(pid, MANY, lambda: drive(target, columns, 4, 4)),
        IN_BATCHES: echo_us / cost_us(pid, MANY, lambda: drive(target, batches, 4, 4)),
        OF_FIFTY: echo_us / cost_us(pid, MESSAGES, lambda: drive(target, crowd, CLIENTS, 1)),
        OF_ONE: bare_us / cost_us(pid, ALONE, lambda: ask_alone(process.commands, alone)),
    }
