"""The page of examples leads to each of them, and each says at its top how it is called and what it prints."""

import re

import pytest

from examples.running import EXAMPLES

PROGRAMS = sorted(
    str(path.relative_to(EXAMPLES))
    for path in EXAMPLES.rglob("*")
    if path.suffix in {".py", ".sh", ".mjs"} and "node_modules" not in path.parts
)


def test_the_page_names_each_example() -> None:
    assert (
        sorted(re.findall(r"^\|[^|]*\| \[([^]]+\.\w+)\]\(\1\) \|", (EXAMPLES / "README.md").read_text(), re.MULTILINE))
        == PROGRAMS
    )


@pytest.mark.parametrize("program", PROGRAMS)
def test_it_says_how_it_is_called_and_what_it_prints(program: str) -> None:
    text = (EXAMPLES / program).read_text()
    head = text[: text.index("\nimport ") if "\nimport " in text else text.index("\nset -euo")]
    assert re.search(rf"(python|bash|node) {re.escape(program.rpartition('/')[2])}", head)
    assert "print" in head
