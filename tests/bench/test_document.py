"""Runs are kept, and pages made from them."""

from pathlib import Path

import pytest
from sample_results import results

from bench.document import rewritten
from bench.results import load, save

PAGE = """\
Before.

<!-- from performance.json: conditions -->
old
<!-- end -->

Between.

<!-- from performance.json: speed -->
<!-- end -->
"""


def test_a_run_is_read_as_it_was_kept(tmp_path: Path) -> None:
    save(results(), tmp_path / "new folder" / "run.json")
    assert load(tmp_path / "new folder" / "run.json") == results()


def test_only_what_stands_between_markers_is_made_anew() -> None:
    page = rewritten(PAGE, results())
    assert page.startswith("Before.\n\n<!-- from performance.json: conditions -->\n| condition | value |")
    assert "<!-- end -->\n\nBetween.\n\n<!-- from performance.json: speed -->\n### How fast\n" in page
    assert page.endswith("A note.\n<!-- end -->\n")
    assert "old" not in page
    assert rewritten(page, results()) == page


def test_a_figure_that_the_run_lacks_is_a_fault() -> None:
    with pytest.raises(KeyError, match="growth"):
        rewritten(PAGE.replace("speed", "growth"), results())


def test_one_that_is_measured_apart_may_be_missing() -> None:
    page = rewritten(PAGE.replace("speed", "takeover"), results())
    assert page.endswith("<!-- from performance.json: takeover -->\n<!-- end -->\n")
