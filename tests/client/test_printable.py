"""Text from elsewhere on a terminal: what is escaped, what is kept, and that JSON keeps its value."""

import json
import sys
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timer_client.cli.printable import printable, printable_json

HARMFUL = (
    "\x00\x1b\x7f\x9b\xad\u061c\u180e\u200b\u200e\u200f\u2028\u202e\u2060\u2066\u206a\u206f\ue000\ufeff\ufff9\ufffb"
)
HARMFUL_BEYOND = "\U000e0000\U000e0001\U000e0041\U000e007f\U000e0fff\U000f0000\U0010fffd"


@pytest.mark.parametrize("character", HARMFUL + HARMFUL_BEYOND, ids=ascii)
def test_what_a_terminal_obeys_or_hides_is_escaped(character: str) -> None:
    assert printable(f"a{character}b") == f"a{ascii(character)[1:-1]}b"


def test_no_control_or_format_of_any_kind_passes() -> None:
    kinds = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
    every = "".join(character for character in map(chr, range(sys.maxunicode + 1)) if category(character) in kinds)
    for shown in (printable(every), printable_json(every)):
        passed = {character for character in set(shown) if category(character) in kinds}
        assert passed == {"\u200c", "\u200d"}


@pytest.mark.parametrize(
    "text",
    [
        "tea",
        "caf\xe9\xa0紅茶",
        "می\u200cخواهم",
        "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{ROCKET}",
        "\N{HEAVY BLACK HEART}\ufe0f",
        "\U0001fae8 \U0001fb00 \U0001facf",
        "\\x1b",
    ],
)
def test_letters_and_emoji_are_kept(text: str) -> None:
    """Also those that are newer than Python's table."""
    assert printable(text) == text
    assert printable_json(text) == text


def test_a_byte_that_is_no_text_is_shown_as_a_byte() -> None:
    assert printable("k\udcff\ud800").encode("utf-8", "replace") == rb"k\xff\ud800"


@given(st.text(st.characters(exclude_categories=["Cs"])) | st.text(st.sampled_from(HARMFUL + HARMFUL_BEYOND)))
def test_json_keeps_its_value(text: str) -> None:
    shown = printable_json(json.dumps([text], ensure_ascii=False))
    assert json.loads(shown) == [text]
    assert shown.isprintable() or not set(HARMFUL + HARMFUL_BEYOND) & set(shown)
