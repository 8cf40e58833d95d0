"""The short form of each campaign under load holds all invariants, and is no empty run."""

from pathlib import Path
from random import Random

import pytest

from campaigns import clock, crash, rolling, turn_points
from campaigns.campaign import Campaign, Length
from campaigns.catalogue import CAMPAIGNS

# Each with the least that its run has to do and record to count.
SHORT = [
    pytest.param(campaign, faults, id=campaign.name)
    for campaign, faults in (
        (crash.CAMPAIGN, 8),
        (turn_points.CAMPAIGN, 7),
        (clock.CAMPAIGN, 8),
        (rolling.CAMPAIGN, 4),
    )
]


@pytest.mark.parametrize(("campaign", "faults"), SHORT)
def test_the_short_form_finds_nothing(tmp_path: Path, campaign: Campaign, faults: int) -> None:
    report = campaign.run(tmp_path, Length.SHORT, Random(5))  # noqa: S311 - moments, not secrets
    assert report.violations == []
    assert report.lost == 0
    assert report.faults == faults
    assert report.requests > 200
    assert report.events > 150


def test_names_tell_campaigns_apart() -> None:
    names = [campaign.name for campaign in CAMPAIGNS]
    assert len(set(names)) == len(names)
    assert all(campaign.claim.endswith(".") for campaign in CAMPAIGNS)
