"""`make campaigns`: what it says and when, its exit codes, and what it leaves behind."""

import re
import tempfile
from pathlib import Path
from random import Random

import pytest

from campaigns import __main__ as command
from campaigns.campaign import Campaign, Length, Report
from campaigns.catalogue import BY_NAME, CAMPAIGNS
from campaigns.history import History

GOOD = Report(faults=1234, requests=5, events=4, figures={"longest call": "0.5 s"})
BAD = Report(faults=1, lost=1, violations=["a_claim: timer x is gone"])


def campaign(name: str, report: Report) -> Campaign:
    """One that leaves a file and reports what it is told to, after it has shown how it was run."""

    def run(folder: Path, length: Length, dice: Random) -> Report:
        print(f"  running {length.value} with {dice.random()}")
        (folder / "history.jsonl").write_text("")
        return report

    return Campaign(name, f"The claim of {name}.", run)


@pytest.fixture(autouse=True)
def campaigns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(command, "CAMPAIGNS", (campaign("good", GOOD), campaign("bad", BAD)))
    monkeypatch.setattr(command, "BY_NAME", (campaign("long", GOOD),))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_the_claim_comes_first_and_a_table_last(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert command.main(["good"]) == 0
    said = capsys.readouterr().out
    assert said.index("The claim of good.") < said.index("running long") < said.index("held after 1,234 faults")
    assert "longest call 0.5 s" in said
    assert re.search(r"\ngood +1,234 +5 +4 +0 +0 +0\n$", said)
    assert not any(tmp_path.iterdir())


def test_a_violation_is_told_and_its_history_kept(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert command.main(["--short"]) == 1
    said = capsys.readouterr().out
    assert "timer x is gone" in said
    (folder,) = tmp_path.iterdir()
    assert f"are in {folder}\n" in said
    assert [path.name for path in folder.iterdir()] == ["bad"]


def test_a_seed_draws_the_same_whatever_else_runs(capsys: pytest.CaptureFixture[str]) -> None:
    drawn = []
    for arguments in (["--seed", "7", "bad"], ["--seed", "7", "bad", "good"], ["--seed", "8", "bad"]):
        command.main(arguments)
        drawn.append(re.findall(r"running long with (\S+)", capsys.readouterr().out)[-1])
    assert drawn[0] == drawn[1] != drawn[2]


def test_names_tell_campaigns_apart() -> None:
    names = [campaign.name for campaign in CAMPAIGNS + BY_NAME]
    assert len(set(names)) == len(names)
    assert all(campaign.claim.endswith(".") for campaign in CAMPAIGNS + BY_NAME)


def test_the_guarantees_name_the_judge_of_each_campaign() -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "guarantees.md").read_text()
    table = page.partition("| campaigns | judge |")[2].partition("\n\n")[0]
    judged = [name for row in table.splitlines()[2:] for name in row.split("|")[1].strip().split(", ")]

    assert sorted(judged) == sorted(campaign.name for campaign in CAMPAIGNS + BY_NAME)


def test_an_empty_run_has_not_held(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    idle = Campaign("idle", "The claim of idle.", lambda *_: Report(), least_faults=1, least_requests=1_000)
    monkeypatch.setattr(command, "CAMPAIGNS", (idle,))
    assert command.main([]) == 1
    said = capsys.readouterr().out
    assert "only 0 faults; expected 1 at least" in said
    assert "only 0 requests; expected 1,000 at least" in said


def test_an_unknown_campaign_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main(["nonsense"])
    assert "there are good, bad, long" in capsys.readouterr().err


def test_one_that_runs_by_name_alone(capsys: pytest.CaptureFixture[str]) -> None:
    command.main([])
    assert "The claim of long." not in capsys.readouterr().out
    assert command.main(["long"]) == 0
    assert "The claim of long." in capsys.readouterr().out


def test_what_could_not_be_tried_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Campaign("absent", "A claim.", lambda *_: Report(not_run="not run (no engine)"), least_faults=1)
    monkeypatch.setattr(command, "CAMPAIGNS", (absent,))
    assert command.main([]) == 0
    assert "not run (no engine)" in capsys.readouterr().out


def test_a_kept_history_is_judged_again(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    History().write(tmp_path / "history.jsonl")
    assert command.main(["check", str(tmp_path / "history.jsonl")]) == 1
    assert "the_history_is_whole" in capsys.readouterr().out
