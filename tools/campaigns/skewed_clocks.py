"""Clocks are wrong by hours and days: that of a node that is promoted, and the wall clock of a server."""

from pathlib import Path
from random import Random

from campaigns.campaign import Campaign, Length, Report
from campaigns.clocks import clocks_of
from campaigns.history import CONTINUED
from campaigns.on_postgres import judged, servers_on, trial_of, where_postgres_is
from campaigns.skewed_postgres import SkewedPostgres
from drivers.postgres import Cluster

HOUR_S, DAY_S = 3_600, 86_400
SHORT_ROUNDS, LONG_ROUNDS = 2, 10
REPLIES_BETWEEN = 60
LATE_S = 2.0


def play(folder: Path, dice: Random, rounds: int, sabotage: str = "", servers: int = 1) -> Report:
    """In each round the wall clock of one server is set, and then a node is promoted whose clock is wrong: an hour
    ahead and an hour behind in turns."""
    with Cluster(standbys=2) as postgres:
        skewed = SkewedPostgres(postgres)
        company = servers_on(folder, [skewed.url] * servers, sabotage)
        clocks = clocks_of(company.servers[0])
        sign = dice.choice((1, -1))
        with trial_of(company, folder, dice) as trial:
            for _ in range(rounds):
                trial.progress(REPLIES_BETWEEN)
                clocks.step(dice.choice((DAY_S, -DAY_S)))
                trial.progress(REPLIES_BETWEEN)
                for standby in postgres.standbys:
                    skewed.set(standby, sign * HOUR_S)
                sign = -sign
                trial.history.mark("primary killed")
                postgres.primary.kill()
                postgres.promote_foremost()
                postgres.follow_promoted()
                trial.history.mark(CONTINUED)
                trial.progress(REPLIES_BETWEEN)
                postgres.rebuild()
            trial.settle()
        return judged(trial, 2 * rounds, skewed.url, LATE_S, forgiven=True)


@where_postgres_is
def _run(folder: Path, length: Length, dice: Random) -> Report:
    return play(folder, dice, length.pick(SHORT_ROUNDS, LONG_ROUNDS))


CAMPAIGN = Campaign(
    "skewed-clocks",
    "Nodes of PostgreSQL are promoted whose clocks are an hour ahead and an hour behind, and the wall clock of a "
    "server is set by a day: no timer by elapsed time ends early, and none late, by the clients' clock.",
    _run,
    least_faults=2 * SHORT_ROUNDS,
    least_requests=200,
)
