"""A server that owns shards is killed, and another takes them."""

import time
from pathlib import Path
from random import Random

from campaigns.campaign import Campaign, Length, Report, joined
from campaigns.crowd import LONGEST_MS, Crowd, ear
from campaigns.crowd_verdict import CrowdVerdict
from campaigns.faults_of_servers import FaultsOfServers
from campaigns.on_postgres import (
    BESIDE_TESTS_S,
    SERVERS,
    TAKEN_WITHIN_S,
    judged,
    servers_on,
    trial_of,
    where_postgres_is,
)
from campaigns.script import PREFIX
from campaigns.workload import Load
from drivers.postgres import Cluster

SHORT_KILLS = 3
LONG_ROUNDS, KILLS_A_ROUND = 4, 5
"""Each round begins with a new store: a shard is without an owner for as long as its log takes to read."""

REPLIES_BETWEEN = 30
SHORT_RATE, LONG_RATE = 300, 6_000
"""Starts a second of the crowd."""

UP_S = (0.0, 1.0)
"""Beside the time for those replies, how long all servers are let run."""

CROWDED_S = 1.0
"""What is added to the limit at that rate: the cores that read the logs and tell what is overdue are also those of
PostgreSQL, its standby, the clients, and of a server that starts."""

ALONE_LATE_S = 10.0
"""The same where nobody is left to take them, and the server is started again."""

LOAD = Load(plain=1, library=1, watchers=1, own_prefix=PREFIX)
"""Beside the crowd, judged by all invariants."""


def play(
    folder: Path,
    dice: Random,
    kills: int,
    sabotage: str = "",
    servers: int = SERVERS,
    rate: int = SHORT_RATE,
    late_s: float = TAKEN_WITHIN_S,
) -> Report:
    """So many kills, each of any server; it is started again once the others have served for a while without it."""
    is_alone = servers == 1
    with Cluster(standbys=1) as postgres:
        company = servers_on(folder, [postgres.url()] * servers, sabotage)
        with trial_of(company, folder, dice, LOAD) as trial:
            faults = FaultsOfServers(trial, postgres, {}, dice)
            with ear(folder, company.commands, company.events) as ends:
                with Crowd(company.commands, rate) as crowd:
                    for _ in range(kills):
                        trial.progress(REPLIES_BETWEEN)
                        time.sleep(dice.uniform(*UP_S))  # the moment of the fault is the point
                        faults.kill()
                time.sleep(LONGEST_MS / 1000)  # all of them are due by then
                ends.wait_for(sum(at_s > 0 for at_s in crowd.answered_s))
            trial.settle()
        report = judged(trial, kills, postgres.url(), late_s, forgiven=is_alone)
        verdict = CrowdVerdict(crowd, ends.heard(), postgres.url(), ALONE_LATE_S if is_alone else late_s)
    report.violations += verdict.violations
    report.figures |= verdict.figures
    return report


@where_postgres_is
def _run(folder: Path, length: Length, dice: Random) -> Report:
    if length is Length.SHORT:
        return play(folder, dice, SHORT_KILLS, late_s=TAKEN_WITHIN_S + BESIDE_TESTS_S)
    rounds = {f"round {number}": folder / f"round{number}" for number in range(1, LONG_ROUNDS + 1)}
    parts = {}
    for name, place in rounds.items():
        place.mkdir()
        parts[name] = play(place, dice, KILLS_A_ROUND, late_s=TAKEN_WITHIN_S + CROWDED_S, rate=LONG_RATE)
    return joined(parts)


CAMPAIGN = Campaign(
    "takeover",
    "Of three servers under load one after the other is killed: the others take its shards, nothing acknowledged is "
    "lost, nothing is done twice or early, and no end is told later than the lease and a second, "
    "or two under as many starts as the machine takes.",
    _run,
    least_faults=SHORT_KILLS,
    least_requests=100,
)
