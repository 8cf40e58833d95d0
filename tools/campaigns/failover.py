"""PostgreSQL's primary dies with all its processes, and a manager promotes the standby that has most."""

import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

from campaigns.campaign import Campaign, Length, Report
from campaigns.facts import Facts
from campaigns.history import CONTINUED
from campaigns.on_postgres import ServersTrial, judged, servers_on, trial_of, where_postgres_is
from campaigns.told_meanwhile import told_again_s, told_meanwhile
from drivers.postgres import Cluster

SHORT_FAILOVERS, LONG_FAILOVERS = 1, 20
REPLIES_BETWEEN = 100
UNCONFIRMED_S = 1.5
"""How long the promoted node has no standby, and takes every commit by itself."""

BACK_S, BESIDE_TESTS_S = 2.0, 5.0
"""Within this time of there being a standby again all has to go on, and ends that were due meanwhile be told. Where
tests run on the same processors, it may take longer."""


@dataclass(frozen=True)
class Failover:
    """When the primary was killed, until when nothing could be kept, and from when on it can again."""

    gone_s: float
    unconfirmed_until_s: float
    back_s: float


def fail_over(trial: ServersTrial, postgres: Cluster) -> Failover:
    """Kills the primary and promotes the standby that has most, which has no standby for a while."""
    trial.history.mark("primary killed")
    gone_s = time.monotonic()
    postgres.primary.kill()
    postgres.promote_foremost()
    time.sleep(UNCONFIRMED_S)  # whatever is told meanwhile is what is looked for
    unconfirmed_until_s = time.monotonic()
    postgres.follow_promoted()
    trial.history.mark(CONTINUED)
    return Failover(gone_s, unconfirmed_until_s, time.monotonic())


def play(
    folder: Path, dice: Random, failovers: int, sabotage: str = "", servers: int = 1, back_s: float = BACK_S
) -> Report:
    """So many failovers, after each of which the node that has fallen is rebuilt as a standby."""
    done: list[Failover] = []
    with Cluster(standbys=2) as postgres:
        with trial_of(servers_on(folder, [postgres.url()] * servers, sabotage), folder, dice) as trial:
            for _ in range(failovers):
                trial.progress(REPLIES_BETWEEN)
                done.append(fail_over(trial, postgres))
                trial.progress(REPLIES_BETWEEN)
                postgres.rebuild()
            trial.settle()
        report = judged(trial, failovers, postgres.url(), back_s, forgiven=True)
    facts = Facts.of(trial.history)
    for one in done:
        report.violations += told_meanwhile(facts, one.gone_s, one.unconfirmed_until_s)
    took_s = [told_again_s(facts, one.back_s) for one in done]
    report.figures["in service again"] = f"{max(took_s):.2f} s after there was a standby"
    report.violations += [
        f"the_service_goes_on: nothing was told for {one_s:.2f} s after there was a standby; expected {back_s:g} s"
        for one_s in took_s
        if one_s > back_s
    ]
    return report


@where_postgres_is
def _run(folder: Path, length: Length, dice: Random) -> Report:
    back_s = BESIDE_TESTS_S if length is Length.SHORT else BACK_S
    return play(folder, dice, length.pick(SHORT_FAILOVERS, LONG_FAILOVERS), back_s=back_s)


CAMPAIGN = Campaign(
    "failover",
    "PostgreSQL's primary is killed with all its processes, and of its two standbys the one that has most is promoted: "
    "nothing acknowledged is lost, nothing is acknowledged while no standby confirms, and all goes on within 2 s of "
    "there being one again.",
    _run,
    least_faults=SHORT_FAILOVERS,
    least_requests=200,
)
