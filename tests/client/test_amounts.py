"""Durations as people write them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timer_client.cli.amounts import Amounts, parse_amount, parse_duration


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["90"], Amounts(0, 0, 90)),
        (["0.5"], Amounts(0, 0, 0.5)),
        (["90s"], Amounts(0, 0, 90)),
        (["25m"], Amounts(0, 25, 0)),
        (["25min"], Amounts(0, 25, 0)),
        (["1h30m"], Amounts(1, 30, 0)),
        (["1h", "30m"], Amounts(1, 30, 0)),
        (["1.5h"], Amounts(1.5, 0, 0)),
        (["2d3h"], Amounts(51, 0, 0)),
        (["1H30M5S"], Amounts(1, 30, 5)),
        (["00:05:00"], Amounts(0, 5, 0)),
        (["5:00"], Amounts(0, 5, 0)),
        (["1:02:03.25"], Amounts(1, 2, 3.25)),
        (["PT5M"], Amounts(0, 5, 0)),
        (["P1DT2H"], Amounts(26, 0, 0)),
        (["PT0.5S"], Amounts(0, 0, 0.5)),
        (["0", "25", "0"], Amounts(0, 25, 0)),
        (["0", "0", "2.5"], Amounts(0, 0, 2.5)),
        (["-30s"], Amounts(0, 0, -30)),
        (["-1h30m"], Amounts(-1, -30, 0)),
        (["-00:05:00"], Amounts(0, -5, 0)),
        (["-PT5M"], Amounts(0, -5, 0)),
        (["+5m"], Amounts(0, 5, 0)),
        (["0", "-5", "0"], Amounts(0, -5, 0)),
    ],
)
def test_forms(words: list[str], expected: Amounts) -> None:
    assert parse_duration(words) == expected


def test_whole_numbers_stay_whole() -> None:
    assert all(isinstance(amount, int) for amount in parse_duration(["1h30m"]))


@pytest.mark.parametrize(
    "words",
    [[""], ["x"], ["5x"], ["1h30h"], ["m"], ["P"], ["PT"], ["1:2:3:4"], [":30"], ["--5"], ["5", "30"], ["1", "2", "x"],
     ["1", "2", "3", "4"], ["1e3"], ["nan"], ["9" * 30], ["1,5h"], ["5", "m", "3"], ["٣"], ["1h30"]],
)  # fmt: skip
def test_what_is_no_duration_is_explained(words: list[str]) -> None:
    with pytest.raises(ValueError, match="is no duration; write 90"):
        parse_duration(words)


@given(st.lists(st.text(max_size=8) | st.from_regex(r"[0-9.:hmsPTD+-]{1,8}", fullmatch=True), max_size=4))
def test_any_text_is_a_duration_or_explained(words: list[str]) -> None:
    with contextlib.suppress(ValueError):
        assert all(isinstance(amount, int | float) for amount in parse_duration(words))


@pytest.mark.parametrize(("text", "expected"), [("5", 5), (" 1.5\n", 1.5), ("0", 0)])
def test_an_answer_is_a_number(text: str, expected: float) -> None:
    assert parse_amount(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"), [("x", "no number"), ("-1", "negative"), ("1h", "no number"), ("", "no num")]
)
def test_an_answer_that_makes_no_sense_is_explained(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_amount(text)
