"""Cursors against the logs there are: nothing that a reader has not seen is passed over without a word."""

from collections.abc import Mapping
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timer_server.requests.positions import start_reading


class Known(NamedTuple):
    """A log with its ancestors."""

    id: str
    ancestors: Mapping[str, int]


ENDS = {"log": 50, "other": 9}
TWO = [Known("log", {}), Known("other", {})]
RESTORED = [Known("log", {"oldest": 20, "older": 30, "old": 40})]
"""A log that was restored three times, each time from a copy that had gone on since the last one."""


@pytest.mark.parametrize(
    ("cursor", "after", "truncated"),
    [
        ({}, {"log": 0, "other": 0}, False),
        ({"log": 7, "other": 9}, {"log": 7, "other": 9}, False),
        ({"log": 50}, {"log": 50, "other": 0}, False),
        ({"log": 51, "other": 9}, {"log": 50, "other": 9}, True),
        ({"log": 7, "other": 3, "gone": 5}, {"log": 7, "other": 3}, True),
        ({"log": 0, "gone": 0}, {"log": 0, "other": 0}, True),
        ({"gone": 5}, {"log": 50, "other": 9}, True),
        ({"gone": 5, "lost": 0}, {"log": 50, "other": 9}, True),
    ],
    ids=[
        "empty: the beginning",
        "all named",
        "one is missing: from its beginning",
        "beyond an end: on at that end",
        "unknown beside known: left out",
        "unknown, with nothing seen of it",
        "none known: the end",
        "none of two known: the end",
    ],
)
def test_logs_without_ancestors(cursor: dict[str, int], after: dict[str, int], truncated: bool) -> None:
    assert start_reading(cursor, TWO, ENDS) == (after, truncated)


@pytest.mark.parametrize(
    ("cursor", "after", "truncated"),
    [
        ({"old": 39}, 39, False),
        ({"old": 40}, 40, False),
        ({"old": 41}, 40, True),
        ({"oldest": 20}, 20, False),
        ({"oldest": 21}, 20, True),
        ({"older": 25, "oldest": 20}, 25, False),
        ({"old": 99, "oldest": 10}, 40, True),
        ({"log": 45, "old": 99}, 45, False),
        ({"log": 45, "gone": 1}, 45, True),
        ({"old": 12, "gone": 1}, 12, True),
    ],
    ids=[
        "below the copy: on there",
        "at the end of the copy",
        "above it: on at that end",
        "an earlier ancestor, at its copy",
        "an earlier ancestor, above its copy",
        "two ancestors: the furthest",
        "two ancestors, one above its copy",
        "its own name counts before that of an ancestor",
        "unknown beside its own",
        "unknown beside an ancestor",
    ],
)
def test_a_log_that_was_restored(cursor: dict[str, int], after: int, truncated: bool) -> None:
    assert start_reading(cursor, RESTORED, {"log": 50}) == ({"log": after}, truncated)


def test_an_ancestor_of_two_logs_is_known_to_both() -> None:
    logs = [Known("one", {"old": 5}), Known("two", {"old": 8})]

    assert start_reading({"old": 7}, logs, {"one": 6, "two": 9}) == ({"one": 5, "two": 7}, True)


def test_a_log_that_has_no_events_yet_is_no_log_that_is_gone() -> None:
    assert start_reading({"log": 0}, [Known("log", {})], {"log": 0}) == ({"log": 0}, False)


names = st.sampled_from(["log", "other", "old", "older", "gone"])
seqs = st.integers(0, 12)


@st.composite
def restored_logs(draw: st.DrawFn) -> tuple[list[Known], dict[str, int]]:
    """Two logs with their ends; each may be a copy of others, up to some `seq` before its end."""
    ends = {log_id: draw(seqs) for log_id in ("log", "other")}
    copied = {log_id: draw(st.lists(st.integers(0, end), max_size=2).map(sorted)) for log_id, end in ends.items()}
    ancestors = {"log": ("older", "old"), "other": ("old", "older")}
    return [Known(log_id, dict(zip(ancestors[log_id], copied[log_id], strict=False))) for log_id in ends], ends


@given(restored_logs(), st.dictionaries(names, seqs))
def test_what_a_reader_has_not_seen_is_never_passed_over_unless_that_is_told(
    known: tuple[list[Known], dict[str, int]], cursor: dict[str, int]
) -> None:
    logs, ends = known
    after, truncated = start_reading(cursor, logs, ends)

    assert list(after) == [log.id for log in logs]
    for log in logs:
        assert 0 <= after[log.id] <= ends[log.id]
        shared = {log.id: ends[log.id], **log.ancestors}
        seen = max((min(cursor[name], shared[name]) for name in cursor.keys() & shared.keys()), default=0)
        assert truncated or after[log.id] <= seen
    if not truncated:
        assert all(any(name in {log.id, *log.ancestors} for log in logs) for name in cursor)
