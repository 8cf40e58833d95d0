"""Rolling restarts of several servers under load: each gives its shards away, and gets others when it is back."""

import time
from pathlib import Path
from random import Random

from campaigns.campaign import Campaign, Length, Report
from campaigns.faults_of_servers import FaultsOfServers
from campaigns.on_postgres import BESIDE_TESTS_S, SERVERS, judged, servers_on, trial_of, where_postgres_is
from drivers.postgres import Cluster

SHORT_RESTARTS, LONG_RESTARTS = 3, 30
REPLIES_BETWEEN = 50
UP_S = (0.0, 1.0)
LATE_S = 1.0


def play(
    folder: Path, dice: Random, restarts: int, sabotage: str = "", servers: int = SERVERS, late_s: float = LATE_S
) -> Report:
    """So many restarts, each of any server."""
    with Cluster(standbys=1) as postgres:
        company = servers_on(folder, [postgres.url()] * servers, sabotage)
        with trial_of(company, folder, dice) as trial:
            faults = FaultsOfServers(trial, postgres, {}, dice)
            for _ in range(restarts):
                trial.progress(REPLIES_BETWEEN)
                time.sleep(dice.uniform(*UP_S))  # the moment of the stop is the point
                faults.restart()
            trial.progress(REPLIES_BETWEEN)
            trial.settle()
        report = judged(trial, restarts, postgres.url(), late_s, forgiven=servers == 1)
    report.violations += faults.violations
    return report


@where_postgres_is
def _run(folder: Path, length: Length, dice: Random) -> Report:
    if length is Length.SHORT:
        return play(folder, dice, SHORT_RESTARTS, late_s=LATE_S + BESIDE_TESTS_S)
    return play(folder, dice, LONG_RESTARTS)


CAMPAIGN = Campaign(
    "rolling-servers",
    "Three servers under load are told to stop and started again, one after the other: nothing is lost, and no end is "
    "told later than a second.",
    _run,
    least_faults=SHORT_RESTARTS,
    least_requests=150,
)
