"""The connection to PostgreSQL is cut as a commit is asked for, or as it is answered."""

import time
from pathlib import Path
from random import Random

from campaigns.campaign import Campaign, Length, Report
from campaigns.history import CONTINUED
from campaigns.on_postgres import judged, servers_on, trial_of, where_postgres_is
from campaigns.proxy import Proxy
from drivers.postgres import Cluster

SHORT_CUTS, LONG_CUTS = 20, 200
REPLIES_BETWEEN = 5
CUT_LIMIT_S = 20.0
COMMIT, ANSWER = b"timer_commit\0", b"SELECT"
"""What a message has in it that asks for a commit, and one that answers it."""

LATE_S = 3.0
"""PostgreSQL is away for a moment at each cut; the server pauses between tries, by a second at most."""

LEASE_S = 2.0
LASTING_SHARE = 0.1
"""Of the cuts, after which nothing passes until the lease is over."""


def cut_one(proxy: Proxy, dice: Random) -> None:
    """Cuts a commit on its way there or its answer on the way back; now and then nothing passes for a time."""
    if dice.random() < 0.5:
        proxy.lose_reply(COMMIT, ANSWER)
        assert proxy.reply_lost.wait(CUT_LIMIT_S), "no commit was answered"
    else:
        proxy.lose_request(COMMIT)
        assert proxy.request_lost.wait(CUT_LIMIT_S), "no commit was asked for"


def play(folder: Path, dice: Random, cuts: int, sabotage: str = "") -> Report:
    """So many cuts, one after the other."""
    lasting = {number for number in range(cuts) if dice.random() < LASTING_SHARE} | {cuts - 1}
    with Cluster(standbys=1) as postgres, Proxy(postgres.primary.address) as proxy:
        url = postgres.url().replace(postgres.primary.address, proxy.endpoint.removeprefix("tcp://"))
        with trial_of(servers_on(folder, [url], sabotage), folder, dice) as trial:
            for number in range(cuts):
                trial.progress(REPLIES_BETWEEN)
                trial.history.mark("commit cut")
                cut_one(proxy, dice)
                if number in lasting:
                    proxy.silence()
                    time.sleep(LEASE_S + dice.random())  # how long it lasts is the fault
                    proxy.cut()
                    proxy.resume()
                trial.history.mark(CONTINUED)
            trial.progress(REPLIES_BETWEEN)
            trial.settle()
        return judged(trial, cuts, postgres.url(), LATE_S, forgiven=True)


@where_postgres_is
def _run(folder: Path, length: Length, dice: Random) -> Report:
    return play(folder, dice, length.pick(SHORT_CUTS, LONG_CUTS))


CAMPAIGN = Campaign(
    "lost-answers",
    "The connection to PostgreSQL is cut between a commit and its answer, some time past the lease: each commit was "
    "done or not, it is found out which, none is done twice, and nothing acknowledged is lost.",
    _run,
    least_faults=SHORT_CUTS,
    least_requests=100,
)
