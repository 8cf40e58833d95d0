"""A campaign finds what is wrong with a server that has a fault planted in it."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from random import Random

import pytest

from campaigns.campaign import Report
from campaigns.clock import Fault, Faults, play
from campaigns.crash import storm
from campaigns.sabotaged_server import CLOCK_SABOTAGES, SABOTAGES
from drivers.server_process import ServerProcess

pytestmark = pytest.mark.thorough

MINUTE_S, HOUR_S = 60.0, 3600.0
KILLS = {"acknowledges_before_it_commits": 4, "forgets_keys": 4}
"""The first needs kills to be found, the other so many requests that some are repeated: more come with each kill."""

FOUND_BY = {
    "acknowledges_before_it_commits": "acknowledged_changes_are_kept",
    "fires_early": "no_event_before_its_deadline",
    "fires_twice": "one_fired_per_run",
    "forgets_keys": "a_repeat_has_one_effect",
}

FOUND_BY_CLOCK = {
    "notices_steps_late": {"no_wall_bound_before_its_moment", "what_is_due_fires_promptly"},
    "tells_of_no_step": {"wall_bound_are_due_at_their_moment"},
    "follows_the_wall_clock": {"the_timeline_ignores_the_wall_clock"},
}

STEPS_S = {"follows_the_wall_clock": [HOUR_S]}
"""To others the clock is set back as well, which that one would not survive."""


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Report]:
    """What a campaign says of each sabotaged server. They run at the same time, as they mostly wait."""
    campaigns = dict.fromkeys(SABOTAGES, _crash) | dict.fromkeys(CLOCK_SABOTAGES, _step)
    with ThreadPoolExecutor(len(campaigns)) as threads:
        running = {
            sabotage: threads.submit(campaign, sabotage, tmp_path_factory.mktemp(sabotage))
            for sabotage, campaign in campaigns.items()
        }
        return {sabotage: report.result() for sabotage, report in running.items()}


def _crash(sabotage: str, folder: Path) -> Report:
    server = ServerProcess(folder, {"SABOTAGE": sabotage}, "campaigns.sabotaged_server")
    return storm(folder, Random(11), KILLS.get(sabotage, 1), server)  # noqa: S311 - moments, not secrets


def _step(sabotage: str, folder: Path) -> Report:
    """What the clock campaign says where the wall clock is only set, and the server let run."""

    def draw(faults: Faults, _: Random) -> list[Fault]:
        return [partial(faults.step, step_s) for step_s in STEPS_S.get(sabotage, [-MINUTE_S, HOUR_S])]

    return play(folder, Random(11), 1, draw, "campaigns.sabotaged_server", SABOTAGE=sabotage)  # noqa: S311 - the same


@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_a_planted_fault_is_found(reports: dict[str, Report], sabotage: str) -> None:
    report = reports[sabotage]
    assert FOUND_BY[sabotage] in _violated(report)
    assert bool(report.lost) == (sabotage == "acknowledges_before_it_commits")


@pytest.mark.parametrize("sabotage", CLOCK_SABOTAGES)
def test_one_that_setting_the_clock_shows_is_found(reports: dict[str, Report], sabotage: str) -> None:
    assert FOUND_BY_CLOCK[sabotage] <= _violated(reports[sabotage])


def _violated(report: Report) -> set[str]:
    return {sentence.partition(":")[0] for sentence in report.violations}
