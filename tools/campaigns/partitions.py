"""The network is cut between a server and PostgreSQL, and between servers: in one direction, or in both."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from campaigns.campaign import Campaign, Length, Report
from campaigns.history import CONTINUED
from campaigns.on_postgres import (
    BESIDE_TESTS_S,
    LOAD,
    SERVERS,
    TAKEN_WITHIN_S,
    ServersTrial,
    judged,
    trial_of,
    where_postgres_is,
)
from campaigns.owners import wait_until_all_own
from campaigns.proxied_servers import Paths, proxied_servers
from campaigns.proxy import Proxy
from campaigns.workload import Load
from drivers.postgres import Cluster

SHORT_ROUNDS, LONG_ROUNDS = 1, 10
REPLIES_BETWEEN = 30
LASTING_S = (0.5, 6.0)
"""From less than the lease to more than a server waits for PostgreSQL before it tries anew."""

LATE_S = TAKEN_WITHIN_S
"""From the end of a cut that came before it was told: who follows events reads all logs now and then, and a server that
cannot reach another waits for it."""


Cuts = Callable[[Sequence[Paths], Random], list[Sequence[Proxy]]]


def cuts_of_a_round(paths: Sequence[Paths], dice: Random) -> list[Sequence[Proxy]]:
    """What is cut in one round, in any order: each a way to PostgreSQL, ways to one server, to all but one, to all."""
    one, other = dice.sample(range(len(paths)), 2)
    cuts: list[Sequence[Proxy]] = [
        paths[one].to_postgres,
        [paths[one].from_peers],
        [path.from_peers for number, path in enumerate(paths) if number != other],
        [path.from_peers for path in paths],
        [*paths[other].to_postgres, paths[other].from_peers],
    ]
    dice.shuffle(cuts)
    return cuts


def cut(trial: ServersTrial, proxies: Sequence[Proxy], for_s: float) -> None:
    """Drops all that these proxies would carry, for so long; then what was sent late comes through, or is reset."""
    trial.history.mark("network cut")
    for proxy in proxies:
        proxy.silence()
    time.sleep(for_s)  # how long it lasts is the fault
    for proxy in proxies:
        proxy.resume()
    trial.history.mark(CONTINUED)


def play(
    folder: Path,
    dice: Random,
    rounds: int,
    sabotage: str = "",
    servers: int = SERVERS,
    cuts: Cuts = cuts_of_a_round,
    lasting_s: tuple[float, float] = LASTING_S,
    late_s: float = LATE_S,
    load: Load = LOAD,
) -> Report:
    """So many rounds, each with every one of `cuts`."""
    done = 0
    with (
        Cluster(standbys=1) as postgres,
        proxied_servers(folder, postgres, servers, sabotage) as (company, paths),
    ):
        with trial_of(company, folder, dice, load) as trial:
            wait_until_all_own(postgres, servers)
            for _ in range(rounds):
                for proxies in cuts(paths, dice):
                    trial.progress(REPLIES_BETWEEN)
                    cut(trial, proxies, dice.uniform(*lasting_s))
                    done += 1
            trial.progress(REPLIES_BETWEEN)
            trial.settle()
        return judged(trial, done, postgres.url(), late_s, forgiven=True)


@where_postgres_is
def _run(folder: Path, length: Length, dice: Random) -> Report:
    if length is Length.SHORT:
        return play(folder, dice, SHORT_ROUNDS, late_s=LATE_S + BESIDE_TESTS_S)
    return play(folder, dice, LONG_ROUNDS)


CAMPAIGN = Campaign(
    "partitions",
    "The network is cut between a server and PostgreSQL, to a server from the others, from a server to the others, and "
    "between all: nothing is lost or done twice, and no end is told later than the lease and a second "
    "once it stands again.",
    _run,
    least_faults=5 * SHORT_ROUNDS,
    least_requests=150,
)
