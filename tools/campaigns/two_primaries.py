"""A standby is promoted while the old primary lives, and a server reaches nothing but that."""

import time
from pathlib import Path
from random import Random

from campaigns.campaign import Campaign, Length, Report
from campaigns.history import CONTINUED
from campaigns.on_postgres import SERVERS, TAKEN_WITHIN_S, judged, servers_on, trial_of, where_postgres_is
from drivers.postgres import Cluster

SHORT_ROUNDS, LONG_ROUNDS = 1, 10
REPLIES_BETWEEN = 50
TOGETHER_S = (1.0, 4.0)
"""How long both are there, from before the lease is over to after it."""

LATE_S = TAKEN_WITHIN_S


def play(folder: Path, dice: Random, rounds: int, sabotage: str = "", servers: int = SERVERS) -> Report:
    """In each round the first server knows the primary of that time alone, and is started again with it."""
    with Cluster(standbys=2) as postgres:
        company = servers_on(folder, [postgres.url()] * servers, sabotage)
        confined, url = company.servers[0], postgres.url()
        confined.environment["TIMER_STORE"] = postgres.url(postgres.primary)
        with trial_of(company, folder, dice) as trial:
            for _ in range(rounds):
                trial.progress(REPLIES_BETWEEN)
                trial.history.mark("another primary promoted")
                postgres.detach_standbys()
                postgres.promote_foremost()
                postgres.follow_promoted()
                time.sleep(dice.uniform(*TOGETHER_S))  # how long both are there is the fault
                for old in postgres.fallen:
                    old.kill()
                trial.history.mark(CONTINUED)
                trial.progress(REPLIES_BETWEEN)
                postgres.rebuild()
                confined.kill()
                confined.environment["TIMER_STORE"] = postgres.url(postgres.primary)
                confined.start()
            trial.progress(REPLIES_BETWEEN)
            trial.settle()
        return judged(trial, rounds, url, LATE_S, forgiven=True)


@where_postgres_is
def _run(folder: Path, length: Length, dice: Random) -> Report:
    return play(folder, dice, length.pick(SHORT_ROUNDS, LONG_ROUNDS))


CAMPAIGN = Campaign(
    "two-primaries",
    "A standby is promoted and the other follows it, while the old primary lives and one server reaches nothing else: "
    "that server acknowledges nothing more, the others go on, and nothing is lost.",
    _run,
    least_faults=SHORT_ROUNDS,
    least_requests=100,
)
