"""A server stands still for longer than its lease, or for a moment while it looks at the others, and goes on."""

from pathlib import Path
from random import Random

from campaigns.campaign import Campaign, Length, Report
from campaigns.faults_of_servers import FaultsOfServers, clocks_of_all
from campaigns.on_postgres import (
    BESIDE_TESTS_S,
    SERVERS,
    TAKEN_WITHIN_S,
    judged,
    servers_on,
    trial_of,
    where_postgres_is,
)
from drivers.postgres import Cluster

SHORT_STOPS, LONG_STOPS = 4, 40
REPLIES_BETWEEN = 30
HOUR_S = 3_600
BRIEF_S = (0.05, 1.5)
LATE_S = TAKEN_WITHIN_S + 3
"""A watcher leaves a server that it asks for what it has missed after three seconds without a sign. A server that was
killed is missed at once."""

LASTING_S, SHORT_LASTING_S = 10.0, 3.5
"""Longer than the lease: the others take what it owned."""


def play(
    folder: Path,
    dice: Random,
    stops: int,
    sabotage: str = "",
    servers: int = SERVERS,
    lasting_s: float = LASTING_S,
    late_s: float = LATE_S,
) -> Report:
    """So many stops, every other one a lasting one, with the wall clock of the server an hour off."""
    with Cluster(standbys=1) as postgres:
        company = servers_on(folder, [postgres.url()] * servers, sabotage)
        clocks = clocks_of_all(company)
        with trial_of(company, folder, dice) as trial:
            faults = FaultsOfServers(trial, postgres, clocks, dice)
            for number in range(stops):
                trial.progress(REPLIES_BETWEEN)
                faults.stop(dice.uniform(*BRIEF_S) if number % 2 else lasting_s, dice.choice((HOUR_S, -HOUR_S)))
            trial.settle()
        report = judged(trial, stops, postgres.url(), late_s, forgiven=servers == 1)
    report.violations += faults.violations
    return report


@where_postgres_is
def _run(folder: Path, length: Length, dice: Random) -> Report:
    if length is Length.SHORT:
        return play(folder, dice, SHORT_STOPS, lasting_s=SHORT_LASTING_S, late_s=LATE_S + BESIDE_TESTS_S)
    return play(folder, dice, LONG_STOPS)


CAMPAIGN = Campaign(
    "stopped-servers",
    "A server stands still, for a moment or beyond its lease, its wall clock is set by an hour, and it goes "
    "on: what it writes then is rejected, it tells nobody anything of it, and takes nothing from those that live.",
    _run,
    least_faults=SHORT_STOPS,
    least_requests=100,
)
