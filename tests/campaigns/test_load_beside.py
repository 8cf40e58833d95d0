"""Campaigns that have a load beside them find what their server does wrong to it."""

from pathlib import Path
from random import Random

import pytest

from campaigns.campaign import Report
from campaigns.load_beside import load_beside
from drivers.peers import requester
from drivers.server_process import ServerProcess

DICE = 5


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("sabotage", "found"), [("", ""), ("fires_twice", "one_fired_per_run"), ("fires_early", "no_event_before_its")]
)
def test_the_load_is_judged_and_strangers_are_not(tmp_path: Path, sabotage: str, found: str) -> None:
    report = Report()
    module = "campaigns.sabotaged_server" if sabotage else "timer_server"
    server = ServerProcess(tmp_path, {"SABOTAGE": sabotage}, module)
    with (
        load_beside(tmp_path, Random(DICE), report, server=server),  # noqa: S311 - moments, not secrets
        requester(server.commands) as stranger,
    ):
        stranger.call("timer.start", id="nobody/asked", hours=1)
    assert report.requests > 0
    if found:
        assert any(violation.startswith(found) for violation in report.violations)
    else:
        assert report.violations == []


@pytest.mark.thorough
def test_a_server_that_is_gone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("campaigns.trial.PROGRESS_LIMIT_S", 2)
    monkeypatch.setattr("campaigns.clients.PATIENCE_S", 1)
    report = Report()
    with load_beside(tmp_path, Random(DICE), report) as server:  # noqa: S311 - moments, not secrets
        server.kill()
    assert any(violation.startswith("the load cannot go on: TimeoutError") for violation in report.violations)
