"""Cursors: positions as a value, their text, and the forms in which one is passed."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timer_client import Cursor
from timer_client.cursor import cursor_after

POSITIONS = st.dictionaries(st.text("azAZ09_-", min_size=1, max_size=11), st.integers(0, 2**63 - 1))


@given(POSITIONS)
def test_a_cursor_is_its_text_its_pickle_and_its_mapping(positions: dict[str, int]) -> None:
    cursor = Cursor(positions)
    for same in (Cursor.parse(str(cursor)), pickle.loads(pickle.dumps(cursor)), eval(repr(cursor)), Cursor(cursor)):  # noqa: S301, S307
        assert (same, hash(same), str(same)) == (cursor, hash(cursor), str(cursor))
    assert dict(cursor) == positions
    assert cursor_after(str(cursor)) == cursor_after(positions) == cursor_after(cursor) == cursor


def test_the_text_is_sorted_and_the_empty_one_is_the_start() -> None:
    assert str(Cursor({"b": 7, "a-": 0, "B": 1})) == "B:1,a-:0,b:7"
    assert str(Cursor()) == "start"
    assert cursor_after("start") == Cursor({}) == Cursor()
    assert cursor_after("now") is None


def test_it_cannot_be_changed() -> None:
    positions = {"a": 1}
    cursor = Cursor(positions)
    positions["a"] = 2
    assert cursor["a"] == 1
    with pytest.raises(TypeError):
        cursor["a"] = 2  # type: ignore[index]
    with pytest.raises(AttributeError):
        cursor.anything = 2  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "'' is no cursor"),
        ("17", "'17' is no cursor: that is"),
        ("a:", "is no cursor"),
        ("a:-1", "is no cursor"),
        ("a:01", "is no cursor"),
        ("a:٣", "is no cursor"),
        ("a:1,", "is no cursor"),
        ("a:1, b:2", "a log's id has 1 to 11 of A-Z a-z 0-9 _ -, which ' b' has not"),
        (":1", "a log's id has"),
        ("abcdefghijkl:1", "a log's id has"),
        ("a:1,a:2", "it names the log a twice"),
        ("a:9223372036854775808", "a whole number from 0 to 9223372036854775807"),
        (",".join(f"{number}:1" for number in range(1025)), "at most 1024 logs, not 1025"),
    ],
)
def test_what_is_no_cursor_is_told_in_a_sentence(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        Cursor.parse(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("positions", [{"a": True}, {"a": 1.0}, {"a": -1}, {1: 1}])
def test_a_mapping_of_something_else_is_refused(positions: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"seq of a log is|log's id has"):
        Cursor(positions)


@pytest.mark.parametrize("after", [0, 17, None])
def test_a_number_says_nothing_of_the_log(after: object) -> None:
    with pytest.raises(TypeError, match=f'after is a Cursor, .* "start" or "now"; the .* {after} says nothing'):
        cursor_after(after)  # type: ignore[arg-type]
