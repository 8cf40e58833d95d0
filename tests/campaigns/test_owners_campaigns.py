"""A campaign of several servers finds a fault that is planted in who owns which shards."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from random import Random

import pytest

from campaigns import joining, mixture, partitions, two_primaries
from campaigns.campaign import Report
from campaigns.faults_of_servers import FaultsOfServers
from campaigns.mixture import Fault
from campaigns.on_postgres import ServersTrial
from campaigns.owners import owned
from campaigns.proxied_servers import Paths
from campaigns.proxy import Proxy
from campaigns.sabotaged_owners import OWNER_SABOTAGES
from campaigns.workload import Load
from drivers.postgres import Cluster
from postgres_store import require_postgres

pytestmark = pytest.mark.thorough

TWO = 2
LIGHT = Load(plain=1, library=1, watchers=1, rest_s=0.02)
AHEAD_S = 12 * mixture.HOUR_S
"""Further than any timer of the load takes, and less than ended ones are kept."""


def from_postgres(paths: Sequence[Paths], _: Random) -> list[Sequence[Proxy]]:
    """The first server is cut off from PostgreSQL."""
    return [paths[0].to_postgres]


def set_and_alone(faults: FaultsOfServers, trial: ServersTrial, postgres: Cluster, *_: object) -> Fault:
    """The wall clock of a server is set, and then the one dies that owns most."""

    def set_and_leave_alone() -> None:
        ((most, _),) = owned(postgres).most_common(1)
        one, other = sorted(trial.server.servers, key=lambda server: server.environment["TIMER_NAME"] == most)
        faults.stop(0.1, AHEAD_S, one)
        faults.kill(other)

    return set_and_leave_alone


NOT_IN_THE_TABLES = {"what_is_told_is_in_the_tables"}
ANOTHER_IN_ITS_PLACE = {"acknowledged_changes_are_kept"}
"""What is in the tables of that version is another change, which the owner since has made."""

PLAYS: dict[str, tuple[Callable[..., Report], set[str]]] = {
    "serves_on_while_cut_off": (
        partial(partitions.play, servers=TWO, load=LIGHT, cuts=from_postgres, lasting_s=(5.0, 5.0)),
        NOT_IN_THE_TABLES | ANOTHER_IN_ITS_PLACE,
    ),
    "goes_back_to_an_old_primary": (
        partial(two_primaries.play, servers=TWO, load=LIGHT),
        NOT_IN_THE_TABLES,
    ),
    "gives_before_it_has_written": (partial(joining.play, servers=1, load=LIGHT), NOT_IN_THE_TABLES),
    "takes_a_set_clock_for_time_passed": (
        partial(mixture.play, servers=TWO, load=LIGHT, draw=set_and_alone),
        {"no_event_before_its_deadline"},
    ),
}
"""The campaign that finds each planted fault, and what it says: one of these at least."""


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Report]:
    """What the campaigns say, which run at the same time, as they mostly wait. Each goes on for one fault."""
    require_postgres()
    with ThreadPoolExecutor(len(PLAYS)) as threads:
        running = {
            sabotage: threads.submit(play, tmp_path_factory.mktemp(sabotage), Random(11), 1, sabotage)  # noqa: S311
            for sabotage, (play, _) in PLAYS.items()
        }
        return {sabotage: report.result() for sabotage, report in running.items()}


def test_each_planted_fault_is_looked_for() -> None:
    assert PLAYS.keys() == OWNER_SABOTAGES.keys()


@pytest.mark.parametrize("sabotage", PLAYS)
def test_a_planted_fault_is_found(reports: dict[str, Report], sabotage: str) -> None:
    _, sentences = PLAYS[sabotage]
    assert sentences & {violation.partition(":")[0] for violation in reports[sabotage].violations}
