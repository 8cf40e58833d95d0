"""Figures as Markdown."""

import pytest
from sample_results import results

from bench.results import Figure, Row, at_least, at_most
from bench.table import aims_text, conditions_text, figure_text, number


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("|")[1:-1]]


def test_a_figure_has_its_limit_its_spread_and_its_aims() -> None:
    heading, _, head, rule, starts, echo, _, note = figure_text(results().figures[0]).splitlines()
    assert heading == "### How fast"
    assert cells(head) == ["what", "median", "±", "unit", "of its limit", "aim", "durable by"]
    assert set(rule) == {"|", "-"}
    aims = "≥ 0.5 of the echo: **missed**; ≤ 1 s: met"
    assert cells(starts) == ["starts", "100,000", "15%", "starts/s", "0.10", aims, "fsync before the reply"]
    assert cells(echo) == ["echo", "1,000,000", "", "messages/s", "", "", "none"]
    assert len({len(head), len(rule), len(starts), len(echo)}) == 1
    assert note == "A note."


def test_empty_columns_are_left_out() -> None:
    shown = figure_text(Figure("a", "A", [Row("b", "s", [1.0])]))
    assert shown.splitlines()[2] == "| what | median | unit |"


def test_a_spread_beyond_the_median_is_in_its_unit() -> None:
    assert cells(figure_text(Figure("a", "A", [Row("b", "ms", [-1.0, 0.5, 2.0])])).splitlines()[-1])[2] == "1.50 ms"


def test_a_limit_that_is_not_there_is_a_fault() -> None:
    with pytest.raises(KeyError, match="nothing"):
        figure_text(Figure("a", "A", [Row("b", "s", [1.0], limit="nothing")]))


def test_all_aims_are_listed() -> None:
    *_, missed, met = aims_text(results()).splitlines()
    assert cells(missed) == ["speed", "starts", "100,000", "starts/s", "≥ 0.5 of the echo", "**no**"]
    assert cells(met)[-1] == "yes"


def test_conditions_are_a_table() -> None:
    assert conditions_text({"cores": "2"}).splitlines()[-1] == "| cores     | 2     |"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1234567.8, "1,234,568"),
        (100, "100"),
        (12.345, "12.3"),
        (1.2345, "1.23"),
        (0.098765, "0.0988"),
        (-6.62, "-6.62"),
    ],
)
def test_numbers_have_the_digits_that_count(value: float, shown: str) -> None:
    assert number(value) == shown


def test_aims_are_met_at_their_bound() -> None:
    assert at_least("5", 5, 5).met
    assert not at_least("5", 4.9, 5).met
    assert at_most("5", 5, 5).met
    assert not at_most("5", 5.1, 5).met
