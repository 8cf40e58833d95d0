"""No standby is left, and then somebody tells PostgreSQL to go on without."""

import time
from pathlib import Path
from random import Random

from campaigns.campaign import Campaign, Length, Report
from campaigns.facts import Facts
from campaigns.history import CONTINUED
from campaigns.on_postgres import judged, servers_on, trial_of, where_postgres_is
from campaigns.told_meanwhile import told_meanwhile
from drivers.postgres import Cluster

SHORT_ROUNDS, LONG_ROUNDS = 1, 20
REPLIES_BETWEEN = 50
ALONE_S = (0.8, 2.0)
"""How long each of the two lasts."""

BACK_S = 2.0


def play(folder: Path, dice: Random, rounds: int, sabotage: str = "", servers: int = 1) -> Report:
    """In each round all standbys are killed, the primary is told to wait for none, and then both are undone."""
    quiet: list[tuple[float, float]] = []
    with Cluster(standbys=2) as postgres:
        with trial_of(servers_on(folder, [postgres.url()] * servers, sabotage), folder, dice) as trial:
            for _ in range(rounds):
                trial.progress(REPLIES_BETWEEN)
                trial.history.mark("standbys killed")
                for standby in postgres.standbys:
                    standby.kill()
                gone_s = time.monotonic()
                time.sleep(dice.uniform(*ALONE_S))  # whatever is told meanwhile is what is looked for
                postgres.primary.set("synchronous_standby_names", "")
                time.sleep(dice.uniform(*ALONE_S))  # the same
                quiet.append((gone_s, time.monotonic()))
                for standby in postgres.standbys:
                    standby.start()
                postgres.replicate()
                trial.history.mark(CONTINUED)
            trial.progress(REPLIES_BETWEEN)
            trial.settle()
        report = judged(trial, 2 * rounds, postgres.url(), BACK_S, forgiven=True)
    facts = Facts.of(trial.history)
    for from_s, until_s in quiet:
        report.violations += told_meanwhile(facts, from_s, until_s)
    return report


@where_postgres_is
def _run(folder: Path, length: Length, dice: Random) -> Report:
    return play(folder, dice, length.pick(SHORT_ROUNDS, LONG_ROUNDS))


CAMPAIGN = Campaign(
    "no-standby",
    "All standbys are killed, and then PostgreSQL is told to go on without: nothing is acknowledged and no end told "
    "until there is one again, and nothing is lost.",
    _run,
    least_faults=2 * SHORT_ROUNDS,
    least_requests=100,
)
