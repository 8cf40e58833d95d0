"""The page of figures is what its JSON makes it, and says how the peers are run."""

import re
from pathlib import Path

from bench.document import KEPT, PAGE, PLOTS, rewritten
from bench.figures import APART, FIGURES
from bench.peers.redis_server import command
from bench.results import load

LARGEST_PLOT_BYTES = 150_000


def test_the_tables_are_those_of_the_kept_run() -> None:
    page = PAGE.read_text()
    assert rewritten(page, load(KEPT)) == page


def test_every_figure_is_shown() -> None:
    shown = re.findall(r"<!-- from performance\.json: ([a-z-]+) -->", PAGE.read_text())
    assert shown == ["conditions", "aims", *FIGURES, *APART]


def test_every_plot_is_there_and_small() -> None:
    linked = re.findall(r"\]\(plots/(\w+\.svg)\)", PAGE.read_text())
    assert sorted(linked) == sorted(plot.name for plot in PLOTS.iterdir())
    assert all(0 < (PLOTS / name).stat().st_size < LARGEST_PLOT_BYTES for name in linked)


def test_it_says_how_redis_is_run() -> None:
    settings = command(0, Path("folder"), "always")
    for name, value in zip(settings[1::2], settings[2::2], strict=True):
        if name not in ("--port", "--bind", "--dir"):
            said = value or '""'
            assert f"{name} {said}" in PAGE.read_text()


def test_it_has_no_path_of_the_machine() -> None:
    assert str(PAGE.parent.parent) not in KEPT.read_text() + PAGE.read_text()
