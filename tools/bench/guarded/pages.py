"""Changes in pages: timers that are extended, restarted, paused and resumed."""

from functools import partial
from itertools import count

from bench.changes import VERBS, in_pages
from bench.generator import drive, zmtp
from bench.guarded.beside_echo import beside_echo
from bench.guarded.costs import Echo, cost_us
from bench.guarded.ratio import Ratio, Ratios
from bench.start_requests import in_columns
from drivers.server_process import ServerProcess

REPETITIONS = 3
MANY = 5_000
PAGE = 500

IN_PAGES = Ratio("an echo against a change in pages", 2.0)

_numbers = count(1)


def measured() -> Ratios:
    """It, with as many of each change."""
    return beside_echo(_once, REPETITIONS)


def _once(process: ServerProcess, reference: Echo) -> Ratios:
    prefix, target = f"pages{next(_numbers)}", zmtp(process.commands)
    ids = [f"{prefix}/{number}" for number in range(MANY)]
    drive(target, in_columns(prefix, range(MANY), PAGE), 4, 4)
    echo_us, changes_us = reference.crowd_us(), 0.0
    for verb in VERBS:
        pages = [in_pages(verb, ids[at : at + PAGE]) for at in range(0, MANY, PAGE)]
        changes_us += cost_us(process.pid, MANY, partial(drive, target, pages, 4, 4))
    return {IN_PAGES: echo_us / (changes_us / len(VERBS))}
