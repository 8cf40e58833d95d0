"""Puts a run into the docs: the tables between markers, the plots beside them, the JSON that both are made from.

What is measured apart from the rest may be missing from a run; its place is then empty.
"""

import re
from collections.abc import Callable
from pathlib import Path

from bench.figures import APART
from bench.results import Results, save
from bench.table import aims_text, conditions_text, figure_text

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGE = DOCS / "performance.md"
KEPT = DOCS / "performance.json"
PLOTS = DOCS / "plots"

_BLOCK = re.compile(r"(<!-- from performance\.json: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def rewritten(page: str, results: Results) -> str:
    """The page with each block between markers made anew. Raises KeyError where the run lacks one of them."""

    def block(match: "re.Match[str]") -> str:
        begin, name, end = match.groups()
        text = block_text(name, results)
        return f"{begin}{text}\n{end}" if text else f"{begin}{end}"

    return _BLOCK.sub(block, page)


def block_text(name: str, results: Results) -> str:
    """What belongs between the markers of that name."""
    if name == "conditions":
        return conditions_text(results.conditions)
    if name == "aims":
        return aims_text(results)
    for figure in results.figures:
        if figure.name == name:
            return figure_text(figure)
    if name in APART:
        return ""
    raise KeyError(f"the page shows {name!r}, but the run has no such figure: run all, with peers")


def document(results: Results, draw: Callable[[Results, Path], None]) -> None:
    """Writes the page, the plots and the JSON."""
    page = rewritten(PAGE.read_text(), results)
    draw(results, PLOTS)
    save(results, KEPT)
    PAGE.write_text(page)
