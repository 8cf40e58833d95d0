"""A campaign of several servers finds what is wrong with them where a fault is planted in each."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from random import Random

import pytest

from campaigns import keyless, rolling_servers, stopped_servers, takeover
from campaigns.campaign import Report
from campaigns.sabotaged_members import MEMBER_SABOTAGES
from postgres_store import require_postgres

pytestmark = pytest.mark.thorough

TWO = 2
WITHIN_LEASE_S = 1.2
"""How long a server stands still that is to notice that, and not to be declared dead itself: more than half a lease,
and less than a whole one together with the time between two beats."""

PLAYS: dict[str, tuple[Callable[..., Report], str]] = {
    "takes_shards_ahead_of_their_time": (partial(takeover.play, rate=50), "no_event_before_its_deadline"),
    "sends_on_twice_without_keys": (keyless.play, keyless.ONE_EFFECT),
    "dies_when_told_to_end": (rolling_servers.play, "a_server_ends_as_it_should"),
    "takes_its_own_sleep_for_silence": (
        partial(stopped_servers.play, lasting_s=WITHIN_LEASE_S),
        "nothing_is_taken_from_the_living",
    ),
}
"""The campaign that finds each planted fault, and what it says."""


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Report]:
    """What the campaigns say, which run at the same time, as they mostly wait."""
    require_postgres()
    with ThreadPoolExecutor(len(PLAYS)) as threads:
        running = {
            sabotage: threads.submit(
                play,
                tmp_path_factory.mktemp(sabotage),
                Random(11),  # noqa: S311 - of a game
                1,
                sabotage=sabotage,
                servers=TWO,
            )
            for sabotage, (play, _) in PLAYS.items()
        }
        return {sabotage: report.result() for sabotage, report in running.items()}


def test_each_planted_fault_is_looked_for() -> None:
    assert PLAYS.keys() == MEMBER_SABOTAGES.keys()


@pytest.mark.parametrize("sabotage", PLAYS)
def test_a_planted_fault_is_found(reports: dict[str, Report], sabotage: str) -> None:
    _, sentence = PLAYS[sabotage]
    assert sentence in {violation.partition(":")[0] for violation in reports[sabotage].violations}
