"""All faults of several servers and their PostgreSQL, in any order, for half an hour."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

from campaigns import stopped_servers
from campaigns.campaign import Campaign, Length, Report
from campaigns.cancelled_waits import cancel_wait
from campaigns.failover import fail_over
from campaigns.faults_of_servers import FaultsOfServers, clocks_of_all
from campaigns.history import CONTINUED
from campaigns.on_postgres import (
    BESIDE_TESTS_S,
    LOAD,
    SERVERS,
    ServersTrial,
    judged,
    trial_of,
    where_postgres_is,
)
from campaigns.partitions import cut, cuts_of_a_round
from campaigns.proxied_servers import Paths, proxied_servers
from campaigns.workload import Load
from drivers.postgres import Cluster, frozen

SHORT_S, LONG_S = 30, 1_800
REPLIES_BETWEEN = 30
UP_S = (0.0, 3.0)
STOPPED_S = (0.05, 6.0)
HOUR_S = 3_600
LATE_S = stopped_servers.LATE_S
"""Servers stand still here too, so no less may be allowed."""

Fault = Callable[[], object]
Draw = Callable[[FaultsOfServers, ServersTrial, Cluster, list[Paths], Random], Fault]


def _rebuild(trial: ServersTrial, postgres: Cluster) -> None:
    """A failover, and the node that has fallen is a standby again."""
    fail_over(trial, postgres)
    trial.progress(REPLIES_BETWEEN)
    postgres.rebuild()


def _cancel(trial: ServersTrial, postgres: Cluster) -> None:
    """Both standbys stand still, and the wait for them is cancelled."""
    trial.history.mark("wait cancelled")
    with frozen(postgres.standbys[0]), frozen(postgres.standbys[1]):
        cancel_wait(postgres.primary)
    trial.history.mark(CONTINUED)


def drawn(faults: FaultsOfServers, trial: ServersTrial, postgres: Cluster, paths: list[Paths], dice: Random) -> Fault:
    """Any of all faults."""
    return dice.choice(
        (
            faults.kill,
            faults.restart,
            partial(faults.stop, dice.uniform(*STOPPED_S), dice.choice((HOUR_S, -HOUR_S))),
            partial(cut, trial, dice.choice(cuts_of_a_round(paths, dice)), dice.uniform(*STOPPED_S)),
            partial(_rebuild, trial, postgres),
            partial(_cancel, trial, postgres),
        )
    )


def play(
    folder: Path,
    dice: Random,
    for_s: float,
    sabotage: str = "",
    servers: int = SERVERS,
    draw: Draw = drawn,
    late_s: float = LATE_S,
    load: Load = LOAD,
) -> Report:
    """Faults until so much time has passed, as `draw` says which comes next."""
    done = 0
    with (
        Cluster(standbys=2) as postgres,
        proxied_servers(folder, postgres, servers, sabotage) as (company, paths),
    ):
        clocks, url = clocks_of_all(company), postgres.url()
        with trial_of(company, folder, dice, load) as trial:
            faults = FaultsOfServers(trial, postgres, clocks, dice)
            until_s = time.monotonic() + for_s
            while time.monotonic() < until_s:
                trial.progress(REPLIES_BETWEEN)
                time.sleep(dice.uniform(*UP_S))  # the moment of the fault is the point
                draw(faults, trial, postgres, paths, dice)()
                done += 1
            trial.progress(REPLIES_BETWEEN)
            trial.settle()
        report = judged(trial, done, url, late_s, forgiven=True)
    report.violations += faults.violations
    return report


@where_postgres_is
def _run(folder: Path, length: Length, dice: Random) -> Report:
    if length is Length.SHORT:
        return play(folder, dice, SHORT_S, late_s=LATE_S + BESIDE_TESTS_S)
    return play(folder, dice, LONG_S)


CAMPAIGN = Campaign(
    "mixture",
    "Servers are killed, stopped and restarted, networks cut, primaries killed and waits cancelled, in any order and "
    "for half an hour: nothing is lost, nothing is done twice, and nothing is early.",
    _run,
    least_faults=3,
    least_requests=150,
)
