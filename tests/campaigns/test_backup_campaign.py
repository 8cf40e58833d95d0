"""The campaign of backups finds what is wrong with them where a fault is planted in the server."""

from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from campaigns.backups import Course, play
from campaigns.campaign import Report
from campaigns.sabotaged_backups import SABOTAGES
from campaigns.workload import Load

pytestmark = pytest.mark.thorough

FOUND_BY = {
    "keeps_nothing": {"a_backup_is_made"},
    "leaves_the_last_out": {"acknowledged_before_is_there", "pending_timers_are_those_of_the_log"},
}
"""At least one of these is violated."""

LIGHT = Load(plain=1, library=0, watchers=1, rest_s=0.03)
COURSE = Course(rounds=2, served=0, load=LIGHT, old_timers=300, retention_s=1, replies_between=150)
"""One by the command, and one to a slow reader; before each, time for retention to pass what is changed."""


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Report]:
    """What the campaign says of each; they run at the same time, as they mostly wait."""

    folders = {sabotage: tmp_path_factory.mktemp(sabotage) for sabotage in SABOTAGES}  # not in the threads

    def run(sabotage: str) -> Report:
        return play(folders[sabotage], Random(11), COURSE, "campaigns.sabotaged_backups", sabotage)  # noqa: S311 - moments

    with ThreadPoolExecutor(len(SABOTAGES)) as threads:
        return dict(zip(SABOTAGES, threads.map(run, SABOTAGES), strict=True))


@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_a_planted_fault_is_found(reports: dict[str, Report], sabotage: str) -> None:
    assert FOUND_BY[sabotage] & {violation.partition(":")[0] for violation in reports[sabotage].violations}
