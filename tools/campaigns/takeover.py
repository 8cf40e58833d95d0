"""A server that owns shards is killed, and another takes them."""

import time
from pathlib import Path
from random import Random

from campaigns.campaign import Campaign, Length, Report
from campaigns.faults_of_servers import FaultsOfServers
from campaigns.on_postgres import LEASE_S, SERVERS, judged, servers_on, trial_of, where_postgres_is
from drivers.postgres import Cluster

SHORT_KILLS, LONG_KILLS = 3, 20
REPLIES_BETWEEN = 30
UP_S = (0.0, 1.0)
"""Beside the time for those replies, how long all servers are let run."""

LATE_S = LEASE_S + 1
"""How late an end may be: its owner is missed once its lease is over, and another reads the log."""


def play(folder: Path, dice: Random, kills: int, sabotage: str = "", servers: int = SERVERS) -> Report:
    """So many kills, each of any server; it is started again once the others have served for a while without it."""
    with Cluster(standbys=1) as postgres:
        company = servers_on(folder, [postgres.url()] * servers, sabotage)
        with trial_of(company, folder, dice) as trial:
            faults = FaultsOfServers(trial, postgres, {}, dice)
            for _ in range(kills):
                trial.progress(REPLIES_BETWEEN)
                time.sleep(dice.uniform(*UP_S))  # the moment of the fault is the point
                faults.kill()
            trial.settle()
        return judged(trial, kills, postgres.url(), LATE_S, forgiven=servers == 1)


@where_postgres_is
def _run(folder: Path, length: Length, dice: Random) -> Report:
    return play(folder, dice, length.pick(SHORT_KILLS, LONG_KILLS))


CAMPAIGN = Campaign(
    "takeover",
    "Of three servers under load one after the other is killed: the others take its shards, nothing acknowledged is "
    "lost, nothing is done twice or early, and no end is told later than the lease and a second.",
    _run,
    least_faults=SHORT_KILLS,
    least_requests=100,
)
