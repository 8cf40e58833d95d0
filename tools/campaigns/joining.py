"""A server joins others under load and leaves them again, and gets its share of the shards each time."""

import time
from pathlib import Path
from random import Random

from campaigns.campaign import Campaign, Length, Report
from campaigns.on_postgres import BESIDE_TESTS_S, LOAD, SERVERS, judged, servers_on, trial_of, where_postgres_is
from campaigns.owners import owned
from campaigns.workload import Load
from drivers.postgres import Cluster

SHORT_JOINS, LONG_JOINS = 2, 10
REPLIES_BETWEEN = 50
SHARDS = 16
"""The default of a store."""

BALANCED_LIMIT_S = 15.0
LOOK_S = 0.1
LATE_S = 1.0


def wait_until_balanced(postgres: Cluster, servers: int) -> None:
    """Waits until so many servers own all shards, none of them more than its share. Raises `AssertionError`."""
    until_s = time.monotonic() + BALANCED_LIMIT_S
    while True:
        shares = owned(postgres)
        if len(shares) == servers and shares.total() == SHARDS and max(shares.values()) <= -(-SHARDS // servers):
            return
        assert time.monotonic() < until_s, f"shards are not shared evenly after {BALANCED_LIMIT_S} s: {shares}"
        time.sleep(LOOK_S)  # nothing tells when a shard was given


def play(
    folder: Path,
    dice: Random,
    joins: int,
    sabotage: str = "",
    servers: int = SERVERS,
    late_s: float = LATE_S,
    load: Load = LOAD,
) -> Report:
    """One more server than that leaves and joins again, so many times."""
    with Cluster(standbys=1) as postgres:
        company = servers_on(folder, [postgres.url()] * (servers + 1), sabotage)
        coming = company.servers[-1]
        exits: list[int] = []
        with trial_of(company, folder, dice, load) as trial:
            wait_until_balanced(postgres, servers + 1)
            for _ in range(joins):
                trial.progress(REPLIES_BETWEEN)
                exits.append(coming.terminate())
                wait_until_balanced(postgres, servers)
                trial.progress(REPLIES_BETWEEN)
                coming.start()
                wait_until_balanced(postgres, servers + 1)
            trial.progress(REPLIES_BETWEEN)
            trial.settle()
        report = judged(trial, 2 * joins, postgres.url(), late_s, forgiven=False)
    report.violations += [f"a_server_ends_as_it_should: it exited with {code}; expected 0" for code in exits if code]
    return report


@where_postgres_is
def _run(folder: Path, length: Length, dice: Random) -> Report:
    if length is Length.SHORT:
        return play(folder, dice, SHORT_JOINS, late_s=LATE_S + BESIDE_TESTS_S)
    return play(folder, dice, LONG_JOINS)


CAMPAIGN = Campaign(
    "joining",
    "A fourth server leaves and joins under load: shards are shared evenly soon after, nothing is lost, and no end is "
    "told later than a second.",
    _run,
    least_faults=2 * SHORT_JOINS,
    least_requests=150,
)
