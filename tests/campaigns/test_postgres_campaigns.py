"""A campaign on PostgreSQL finds what is wrong with a server that has a fault planted in it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest

from campaigns import cancelled_waits, failover, lost_answers, no_standby, skewed_clocks
from campaigns.campaign import Report
from campaigns.sabotaged_commits import SABOTAGES
from postgres_store import require_postgres

pytestmark = pytest.mark.thorough

Play = Callable[[Path, Random, int, str], Report]

FOUND: dict[tuple[Play, str], str] = {
    (failover.play, "waits_for_no_disk"): "what_is_told_is_in_the_tables",
    (no_standby.play, "trusts_any_primary"): "nothing_is_told_that_is_not_kept",
    (cancelled_waits.play, "takes_a_cancelled_wait_for_done"): "nothing_is_told_that_is_not_kept",
    (skewed_clocks.play, "follows_the_wall_clock"): "no_event_before_its_deadline",
    (lost_answers.play, "takes_what_was_cut_for_done"): "what_is_told_is_in_the_tables",
}
"""What each campaign says of a planted fault."""


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[Play, str], Report]:
    """What the campaigns say, which run at the same time, as they mostly wait."""
    require_postgres()
    with ThreadPoolExecutor(len(FOUND)) as threads:
        running = {
            (play, sabotage): threads.submit(play, tmp_path_factory.mktemp(sabotage), Random(11), 1, sabotage)  # noqa: S311
            for play, sabotage in FOUND
        }
        return {planted: report.result() for planted, report in running.items()}


def test_each_planted_fault_is_looked_for() -> None:
    assert {sabotage for _, sabotage in FOUND} >= SABOTAGES.keys()


@pytest.mark.parametrize("planted", FOUND, ids=[sabotage for _, sabotage in FOUND])
def test_a_planted_fault_is_found(reports: dict[tuple[Play, str], Report], planted: tuple[Play, str]) -> None:
    assert FOUND[planted] in {sentence.partition(":")[0] for sentence in reports[planted].violations}
