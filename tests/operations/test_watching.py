"""What operators are given to watch with: the table of series, the dashboard and the alerts agree with what is told."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from docs.test_links import headings
from operations.expositions import OF_EACH_PART, Series, of_gateway, of_server, of_webhooks

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs/operations.md"
RULES = ROOT / "deploy/prometheus/rules.yml"
RULE_TESTS = [RULES.with_name("rules.test.yml"), RULES.with_name("rules.days.test.yml")]
DASHBOARD = json.loads((ROOT / "deploy/grafana/timers.json").read_text())

NAMED = re.compile(r"\b((?:timer|process)_[a-z_]+)(?:\{([^}]*)\})?")
"""A series in PromQL, and what it is chosen by."""

OF_TARGETS = {"job", "instance"}
"""Labels that Prometheus adds."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Series]:
    """All series that there are, by the names that the table has for them."""
    return {**of_server(tmp_path_factory.mktemp("store")), **of_gateway(), **of_webhooks()}


@pytest.fixture(scope="module")
def known(told: dict[str, Series]) -> dict[str, Series]:
    """The same by the names that Prometheus has for them."""
    parts = {name + part: series for name, series in told.items() for part in OF_EACH_PART.get(series.kind, ("",))}
    assert len(parts) > len(told), "there are histograms"
    return parts


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def queries() -> Iterator[str]:
    """All PromQL of dashboard and alerts."""
    for panel in panels():
        yield from (target["expr"] for target in panel["targets"])
    yield from (note["expr"] for note in DASHBOARD["annotations"]["list"])
    for variable in DASHBOARD["templating"]["list"][1:]:
        yield from re.findall(r"timer_\w+", variable["definition"])
    yield from re.findall(r"expr: (.*?)\n +(?:for|labels):", RULES.read_text(), re.DOTALL)


def alerts() -> dict[str, str]:
    """The alerts, each with what stands below its name."""
    _, *blocks = re.split(r"^ +- alert: ", RULES.read_text(), flags=re.MULTILINE)
    return dict(block.split("\n", 1) for block in blocks)


def test_the_table_of_series_is_what_is_told(told: dict[str, Series]) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|([^|]*)\| [^|]+ \|$", PAGE.read_text(), re.MULTILINE)
    written = {name: Series(kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    assert written == told


def test_dashboard_and_alerts_ask_for_what_is_told(known: dict[str, Series]) -> None:
    asked = [named for query in queries() for named in NAMED.findall(query)]
    assert {name for name, _ in asked} >= {"timer_lateness_seconds_bucket", "timer_webhooks_disabled"}
    for name, chosen_by in asked:
        assert name in known, name
        labels = set(re.findall(r"(\w+)(?:=~|!=|=)", chosen_by))
        assert labels <= known[name].labels | OF_TARGETS, (name, chosen_by)


def test_whatever_is_told_is_on_the_dashboard(told: dict[str, Series]) -> None:
    shown = " ".join(target["expr"] for panel in panels() for target in panel["targets"])
    untold = {"process_start_time_seconds", "process_virtual_memory_bytes", "timer_gateway_build_info"}
    assert {name for name in told if name not in shown} == untold


def test_every_panel_says_what_it_shows_in_which_unit() -> None:
    for panel in panels():
        assert panel["title"], panel
        assert panel["description"].endswith("."), panel["title"]
        unit = panel["fieldConfig"]["defaults"].get("unit") or panel["options"]["yAxis"]["unit"]
        assert unit, panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"
        for target in panel["targets"]:
            chosen = [by for _, by in NAMED.findall(target["expr"])]
            assert all("$job" in by and "$instance" in by for by in chosen), panel["title"]
    assert [variable["name"] for variable in DASHBOARD["templating"]["list"]] == ["datasource", "job", "instance"]
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize(("name", "rule"), alerts().items(), ids=alerts())
def test_every_alert_says_what_is_wrong_and_where_it_stands_what_to_do(name: str, rule: str) -> None:
    assert re.search(r"severity: (critical|warning)", rule)
    for part in ("summary", "description"):
        assert re.search(rf"^ +{part}: \S", rule, re.MULTILINE), part
    assert f"runbook: docs/operations.md#{name.lower()}\n" in rule
    assert name.lower() in headings(PAGE)
    assert any(f"- name: {name}\n" in tests.read_text() for tests in RULE_TESTS), "it has a test"


def test_every_runbook_is_of_an_alert() -> None:
    runbooks = re.findall(r"^### (.*)$", PAGE.read_text(), re.MULTILINE)
    assert runbooks == list(alerts())


def test_the_alerts_fire_when_they_should() -> None:
    promtool = shutil.which("promtool")
    if promtool is None and os.environ.get("REQUIRE_PROMTOOL") == "1":
        pytest.fail("REQUIRE_PROMTOOL=1, but there is no promtool", pytrace=False)
    if promtool is None:
        pytest.skip("no promtool, which is of Debian's package prometheus")
    for command in (["check", "rules", RULES], ["test", "rules", *RULE_TESTS]):
        run = subprocess.run([promtool, *command], capture_output=True, text=True, timeout=60, check=False)
        assert run.returncode == 0, run.stdout + run.stderr
