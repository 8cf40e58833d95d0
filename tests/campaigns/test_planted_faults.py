"""A campaign finds what is wrong with a server that has a fault planted in it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest

from campaigns.campaign import Report
from campaigns.crash import storm
from campaigns.sabotaged_server import SABOTAGES
from drivers.server_process import ServerProcess

KILLS = {"acknowledges_before_it_commits": 4}
"""Of the others one is enough, as no kill is needed to find them."""

FOUND_BY = {
    "acknowledges_before_it_commits": "acknowledged_changes_are_kept",
    "fires_early": "no_event_before_its_deadline",
    "fires_twice": "one_fired_per_run",
    "forgets_keys": "a_repeat_has_one_effect",
}


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Report]:
    """What the crash campaign says of each sabotaged server. They run at the same time, as they mostly wait."""
    folders = {sabotage: tmp_path_factory.mktemp(sabotage) for sabotage in SABOTAGES}
    with ThreadPoolExecutor(len(folders)) as threads:
        return dict(zip(folders, threads.map(_crash, folders, folders.values()), strict=True))


def _crash(sabotage: str, folder: Path) -> Report:
    server = ServerProcess(folder, {"SABOTAGE": sabotage}, "campaigns.sabotaged_server")
    return storm(folder, Random(11), KILLS.get(sabotage, 1), server)  # noqa: S311 - moments, not secrets


@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_a_planted_fault_is_found(reports: dict[str, Report], sabotage: str) -> None:
    report = reports[sabotage]
    assert FOUND_BY[sabotage] in {sentence.partition(":")[0] for sentence in report.violations}
    assert bool(report.lost) == (sabotage == "acknowledges_before_it_commits")
