"""A standby is promoted beside the old primary, which falls and comes back; a server reaches nothing but that."""

import time
from contextlib import closing
from itertools import count
from pathlib import Path
from random import Random

from campaigns.campaign import Campaign, Length, Report
from campaigns.clients import PlainClient, Request
from campaigns.history import CONTINUED
from campaigns.on_postgres import (
    BESIDE_TESTS_S,
    LOAD,
    SERVERS,
    TAKEN_WITHIN_S,
    ServersTrial,
    judged,
    servers_on,
    trial_of,
    where_postgres_is,
)
from campaigns.owners import wait_until_all_own
from campaigns.workload import Load
from drivers.postgres import Cluster, confirmed

SHORT_ROUNDS, LONG_ROUNDS = 1, 10
REPLIES_BETWEEN = 50
TOGETHER_S = (1.0, 4.0)
"""How long both are there, from before the lease is over to after it."""

BACK_S = 3.0
"""How long the old one is back: longer than a server waits between two tries to reach PostgreSQL."""

LATE_S = TAKEN_WITHIN_S


def ask_confined(trial: ServersTrial, numbers: "count[int]", for_s: float) -> None:
    """Starts timers for so long, each asked of the first server first, and of the next one where that tells nothing."""
    until_s = time.monotonic() + for_s
    while time.monotonic() < until_s:
        number = next(numbers)
        with closing(PlainClient(f"confined/{number}", trial.history, trial.server.commands)) as client:
            client.ask([Request("timer.start", {"id": f"confined/{number}", "hours": 1})])


def play(
    folder: Path,
    dice: Random,
    rounds: int,
    sabotage: str = "",
    servers: int = SERVERS,
    late_s: float = LATE_S,
    load: Load = LOAD,
) -> Report:
    """In each round the first server knows the primary of that time alone, and is started again with the next one.

    That primary lives on while another one is promoted, though nobody confirms what it writes; it falls, and comes back
    with somebody who does.
    """
    with Cluster(standbys=2) as postgres:
        company = servers_on(folder, [postgres.url()] * servers, sabotage)
        confined, url = company.servers[0], postgres.url()
        confined.environment["TIMER_STORE"] = postgres.url(postgres.primary)
        with trial_of(company, folder, dice, load) as trial:
            wait_until_all_own(postgres, servers)
            numbers = count()
            for number in range(rounds):
                if number:
                    postgres.rebuild()
                trial.progress(REPLIES_BETWEEN)
                old, confirming = postgres.primary, postgres.standbys[0].name
                trial.history.mark("another primary promoted")
                postgres.detach_standbys()
                postgres.promote_foremost()
                postgres.follow_promoted()
                time.sleep(dice.uniform(*TOGETHER_S))  # how long both are there is the fault
                old.kill()
                trial.history.mark(CONTINUED)
                trial.progress(REPLIES_BETWEEN)
                old.start()
                with confirmed(old, confirming):
                    ask_confined(trial, numbers, BACK_S)
                old.kill()
                confined.kill()
                confined.environment["TIMER_STORE"] = postgres.url(postgres.primary)
                confined.start()
            trial.progress(REPLIES_BETWEEN)
            trial.settle()
        return judged(trial, rounds, url, late_s, forgiven=True)


@where_postgres_is
def _run(folder: Path, length: Length, dice: Random) -> Report:
    if length is Length.SHORT:
        return play(folder, dice, SHORT_ROUNDS, late_s=LATE_S + BESIDE_TESTS_S)
    return play(folder, dice, LONG_ROUNDS)


CAMPAIGN = Campaign(
    "two-primaries",
    "A standby is promoted and the other follows it, while the old primary lives, or comes back after it has fallen, "
    "and one server reaches nothing else: that server acknowledges nothing more there, the others go on, and nothing "
    "is lost.",
    _run,
    least_faults=SHORT_ROUNDS,
    least_requests=100,
)
