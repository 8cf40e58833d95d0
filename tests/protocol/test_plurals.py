"""Numbers in sentences agree with their nouns: in the function for it, and in every sentence of the programs."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise

import pytest

from architecture.reading import modules, name_of
from timer_protocol.plurals import counted

NOUNS = (
    "bytes characters clients connections days entries events files frames hours ids keys lines logs messages minutes "
    "parameters rows requests seconds subscriptions timers topics tries"
)
AFTER_A_NUMBER = re.compile(rf" (?:{'|'.join(NOUNS.split())})\b")
SOURCES = [module for package in ("timer_protocol", "timer_server", "timer_client") for module in modules(package)]


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0, "0 timers"), (1, "1 timer"), (2, "2 timers"), (-1, "-1 timer"), (1.0, "1 timer"), (0.5, "0.5 timers")],
)
def test_one_is_singular(number: float, expected: str) -> None:
    assert counted(number, "timer") == expected


def test_a_verb_comes_along() -> None:
    assert [counted(number, "entry is", "entries are") for number in (1, 2)] == ["1 entry is", "2 entries are"]


def glued(source: str) -> Iterator[str]:
    """Plural nouns that stand right behind a number that varies; constants are all more than one."""
    for node in ast.walk(ast.parse(source)):
        parts = node.values if isinstance(node, ast.JoinedStr) else []
        for value, text in pairwise(parts):
            if isinstance(value, ast.FormattedValue) and isinstance(text, ast.Constant):
                varies = not (isinstance(value.value, ast.Name) and value.value.id.isupper())
                if varies and (match := AFTER_A_NUMBER.match(str(text.value))):
                    yield f"{{{ast.unparse(value.value)}}}{match[0]}"


def test_sentences_use_it() -> None:
    found = {name_of(module): list(glued(module.read_text())) for module in SOURCES}
    assert not {name: texts for name, texts in found.items() if texts}, "counted() makes one of it where it is one"


def test_the_check_notices() -> None:
    assert list(glued('f"{len(texts)} frames, {MOST} bytes, {name} is"')) == ["{len(texts)} frames"]
