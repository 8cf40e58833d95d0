"""A commit waits for the standby, and somebody cancels that: PostgreSQL says that it has succeeded."""

import time
from pathlib import Path
from random import Random

from campaigns.campaign import Campaign, Length, Report
from campaigns.facts import Facts
from campaigns.history import CONTINUED
from campaigns.on_postgres import judged, servers_on, trial_of, where_postgres_is
from campaigns.told_meanwhile import ON_THE_WAY_S, told_meanwhile
from drivers.postgres import Cluster, Node, frozen

SHORT_CANCELS, LONG_CANCELS = 3, 50
REPLIES_BETWEEN = 30
WAITS_LIMIT_S = 20.0
AFTERWARDS_S = (0.3, 1.0)
BACK_S = 2.0

_CANCEL = (
    "select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'"
    " and starts_with(application_name, 'timer-server commits')"
)


def cancel_wait(primary: Node) -> None:
    """Waits until a commit waits for a standby, and cancels that."""
    until_s = time.monotonic() + WAITS_LIMIT_S
    while not primary.execute(_CANCEL):
        assert time.monotonic() < until_s, "no commit waits for the standby"


def play(folder: Path, dice: Random, cancels: int, sabotage: str = "", servers: int = 1) -> Report:
    """So many waits are cancelled while the standby stands still."""
    quiet: list[tuple[float, float]] = []
    with Cluster(standbys=1) as postgres:
        with trial_of(servers_on(folder, [postgres.url()] * servers, sabotage), folder, dice) as trial:
            for _ in range(cancels):
                trial.progress(REPLIES_BETWEEN)
                trial.history.mark("wait cancelled")
                with frozen(postgres.standbys[0]):
                    stopped_s = time.monotonic()
                    time.sleep(ON_THE_WAY_S)  # what was told before is through
                    cancel_wait(postgres.primary)
                    time.sleep(dice.uniform(*AFTERWARDS_S))  # whatever is told meanwhile is what is looked for
                    quiet.append((stopped_s, time.monotonic()))
                trial.history.mark(CONTINUED)
            trial.progress(REPLIES_BETWEEN)
            trial.settle()
        report = judged(trial, cancels, postgres.url(), BACK_S, forgiven=True)
    facts = Facts.of(trial.history)
    for from_s, until_s in quiet:
        report.violations += told_meanwhile(facts, from_s, until_s)
    return report


@where_postgres_is
def _run(folder: Path, length: Length, dice: Random) -> Report:
    return play(folder, dice, length.pick(SHORT_CANCELS, LONG_CANCELS))


CAMPAIGN = Campaign(
    "cancelled-waits",
    "The wait of a commit for the standby is cancelled, which PostgreSQL takes for success: nothing is acknowledged "
    "until the standby has it, nothing is lost, and nothing done twice.",
    _run,
    least_faults=SHORT_CANCELS,
    least_requests=100,
)
