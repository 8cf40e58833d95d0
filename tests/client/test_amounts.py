"""Durations as people write them."""

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timer_client.cli.amounts import EXAMPLES, Amounts, parse_answer, parse_duration, taken_for
from timer_protocol.durations import LONGEST_S


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
        (["1", "h", "30", "m"], Amounts(1, 30, 0)),
        (["1 h", " 30  m "], Amounts(1, 30, 0)),
        (["1.5h"], Amounts(1.5, 0, 0)),
        ([".5h"], Amounts(0.5, 0, 0)),
        (["2d3h"], Amounts(51, 0, 0)),
        (["1H30M5S"], Amounts(1, 30, 5)),
        (["1h30"], Amounts(1, 30, 0)),
        (["1h", "30"], Amounts(1, 30, 0)),
        (["1d12"], Amounts(36, 0, 0)),
        (["5m30"], Amounts(0, 5, 30)),
        (["5", "minutes"], Amounts(0, 5, 0)),
        (["90", "sec"], Amounts(0, 0, 90)),
        (["1", "hour", "5", "min"], Amounts(1, 5, 0)),
        (["2", "days", "1hr", "3", "Secs"], Amounts(49, 0, 3)),
        (["1:30"], Amounts(0, 1, 30)),
        (["00:05:00"], Amounts(0, 5, 0)),
        (["36:01:02"], Amounts(36, 1, 2)),
        (["1:02:03.25"], Amounts(1, 2, 3.25)),
        (["PT5M"], Amounts(0, 5, 0)),
        (["P1DT2H"], Amounts(26, 0, 0)),
        (["PT0.5S"], Amounts(0, 0, 0.5)),
        (["0", "25", "0"], Amounts(0, 25, 0)),
        (["0 25 0"], Amounts(0, 25, 0)),
        (["0", "0", "2.5"], Amounts(0, 0, 2.5)),
        (["-30s"], Amounts(0, 0, -30)),
        (["-1h30m"], Amounts(-1, -30, 0)),
        (["-1", "hour", "30", "min"], Amounts(-1, -30, 0)),
        (["-.5h"], Amounts(-0.5, 0, 0)),
        (["-00:05:00"], Amounts(0, -5, 0)),
        (["-PT5M"], Amounts(0, -5, 0)),
        (["+5m"], Amounts(0, 5, 0)),
        (["0", "-5", "0"], Amounts(0, -5, 0)),
        (["0" * 5000 + "5"], Amounts(0, 0, 5)),
    ],
)
def test_forms(words: list[str], expected: Amounts) -> None:
    assert parse_duration(words) == expected


def test_whole_numbers_stay_whole() -> None:
    for words in (["1h30m"], ["1h30"], ["1:30"], ["0 25 0"]):
        assert all(isinstance(amount, int) for amount in parse_duration(words))


@pytest.mark.parametrize(
    "words",
    [[""], ["x"], ["5x"], ["1h30h"], ["30m1h"], ["m"], ["P"], ["PT"], ["1:2:3:4"], [":30"], ["--5"], ["1h", "-30m"],
     ["5s30"], ["1e"], ["nan"], ["1,5h"], ["٣"], ["soon"], ["5ſ"]],
)  # fmt: skip
def test_what_is_no_duration_is_explained(words: list[str]) -> None:
    with pytest.raises(ValueError, match="is no duration; write 90"):
        parse_duration(words)


@pytest.mark.parametrize(
    ("words", "first", "second"),
    [
        (["1", "30m"], "1", "30m"),
        (["2", "5m"], "2", "5m"),
        (["10", "5s"], "10", "5s"),
        (["1", ".5h"], "1", ".5h"),
        (["5", "30"], "5", "30"),
        (["1h", "30", "15"], "30", "15"),
        (["1", "2", "x"], "1", "2 x"),
        (["1", "2", "3", "4"], "1", "2"),
        (["-1", "30m"], "1", "30m"),
        (["1 30m"], "1", "30m"),
    ],
)
def test_numbers_side_by_side_are_never_glued(words: list[str], first: str, second: str) -> None:
    with pytest.raises(ValueError, match=f"leaves open what '{first}' before '{second}' counts; "):
        parse_duration(words)


@pytest.mark.parametrize(
    ("words", "first", "second"),
    [(["1.5h30"], "1.5h", "30"), (["-.5h30"], ".5h", "30"), (["1d", "1.5h", "30"], "1.5h", "30")],
)
def test_what_follows_a_fraction_needs_a_unit(words: list[str], first: str, second: str) -> None:
    with pytest.raises(ValueError, match=f"leaves open what '{second}' after the fraction '{first}' counts; "):
        parse_duration(words)
    assert parse_duration([*words, "min"])


@pytest.mark.parametrize("text", ["1e3", "-1E3", "1.5e+3s", "1e-3 h"])
def test_an_exponent_is_to_be_written_out(text: str) -> None:
    expected = re.escape(f"{text!r} has an exponent; write the number out, as in 1000 for 1e3")
    with pytest.raises(ValueError, match=expected):
        parse_duration([text])
    with pytest.raises(ValueError, match=expected):
        parse_answer(text, "hours")


@pytest.mark.parametrize("text", ["99999999999", "999999999d", "9" * 400, "1" * 5000 + "h", "-" + "9" * 15])
def test_what_no_server_would_take_is_called_too_long(text: str) -> None:
    with pytest.raises(ValueError, match=f"is longer than any timer may run: {LONGEST_S} seconds, a hundred years"):
        parse_duration([text])


def test_the_longest_is_left_to_the_server() -> None:
    assert parse_duration(["1234567890"]) == Amounts(0, 0, 1234567890)
    assert parse_duration([str(LONGEST_S)]) == Amounts(0, 0, LONGEST_S)


@given(st.lists(st.text(max_size=8) | st.from_regex(r"[0-9.:hmsPTD+ -]{1,8}", fullmatch=True), max_size=4))
def test_any_text_is_a_duration_or_explained(words: list[str]) -> None:
    with contextlib.suppress(ValueError):
        assert all(isinstance(amount, int | float) for amount in parse_duration(words))
    taken_for(words)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["1:30"], "1:30 is taken for 1 minute 30 seconds; 1:30:00 is 1 hour 30 minutes"),
        (["-1:00"], "-1:00 is taken for minus 1 minute; -1:00:00 is minus 1 hour"),
        (["+5:00"], "+5:00 is taken for 5 minutes; +5:00:00 is 5 hours"),
        (["0:01"], "0:01 is taken for 1 second; 0:01:00 is 1 minute"),
        (["1:30:00"], None),
        (["1:30.5"], None),
        (["90"], None),
    ],
)
def test_what_may_be_read_in_two_ways_is_said(words: list[str], expected: str | None) -> None:
    assert taken_for(words) == expected


def test_every_example_is_taken() -> None:
    assert all(parse_duration(example.split()).spoken() for example in EXAMPLES)


@pytest.mark.parametrize(("text", "expected"), [("5", 5), (" 1.5\n", 1.5), ("0", 0), (".5", 0.5), ("876000", 876_000)])
def test_an_answer_is_a_number(text: str, expected: float) -> None:
    assert parse_answer(text, "hours") == expected


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("x", "hours", "'x' is no number: what is asked for is a number of hours from 0 to 876000, such as 5 or 1.5"),
        ("-1", "minutes", "-1 is negative: what is asked for is a number of minutes from 0 to 52560000, such"),
        ("99999999999", "hours", "99999999999 is too large: what is asked for is a number of hours from 0 to 876000"),
        ("99999999999", "seconds", "99999999999 is too large: what is asked for is a number of seconds from 0 to"),
        ("25m", "hours", "'25m' is no number: what is asked for is .*; on the command line, `start 25m` takes it"),
        ("", "hours", "'' is no number"),
        ("nan", "hours", "'nan' is no number"),
    ],
)
def test_an_answer_that_makes_no_sense_tells_what_is_asked_for(text: str, unit: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        parse_answer(text, unit)
