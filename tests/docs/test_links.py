"""Whatever a document links to is there, down to the heading."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
FOLDERS = (".", "docs", "docs/examples", "docs/methods", "deploy", "tools", "services/timer_protocol")
DOCUMENTS = [document for folder in FOLDERS for document in sorted((ROOT / folder).glob("*.md"))]


def headings(document: Path) -> set[str]:
    """The names by which links find the headings of a document."""
    titles = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", DOCUMENTS, ids=[document.name for document in DOCUMENTS])
def test_links_lead_somewhere(document: Path) -> None:
    for file, heading in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", document.read_text()):
        target = document.parent / file if file else document
        assert target.exists(), file
        assert not heading or heading in headings(target), f"{file}#{heading}"
