"""The index of ids: what a sorted set would give, whatever was added and forgotten before."""

from collections.abc import Iterable, Iterator
from heapq import merge
from itertools import chain, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timer_server.core import id_index
from timer_server.core.id_index import IdIndex, _lines

IDS = [f"{first}{second}" for first in ("", "a", "a/", "b") for second in "ab12/"]
"""So few that most steps meet an id that was added or forgotten before."""

STEPS = [(step, timer_id) for step in ("add", "forget") for timer_id in IDS]
ids = st.sampled_from(IDS)

Steps = list[tuple[str, str]]

steps = st.binary(min_size=50, max_size=200).map(lambda drawn: [STEPS[byte % len(STEPS)] for byte in drawn])
"""Drawn as bytes, which takes a tenth of the time that a list of pairs takes."""


@pytest.fixture
def small_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs so small that a few steps make, merge and sweep many."""
    monkeypatch.setattr(id_index, "_RUN", 4)
    monkeypatch.setattr(id_index, "_RUN_MAXIMUM", 16)
    monkeypatch.setattr(id_index, "_LONG", 8)
    monkeypatch.setattr(id_index, "_SWEEP_EVERY", 2)


def expected(known: set[str], after: str | None, prefix: str) -> list[str]:
    return [
        timer_id for timer_id in sorted(known) if timer_id.startswith(prefix) and (after is None or timer_id > after)
    ]


def play(index: IdIndex, known: set[str], played: Steps) -> None:
    for step, timer_id in played:
        if step == "add" and timer_id not in known:
            known.add(timer_id)
            index.add(timer_id)
        elif step == "forget" and timer_id in known:
            known.remove(timer_id)
            index.forget(timer_id)


def listed(index: IdIndex, after: str | None, prefix: str) -> list[str]:
    """What the index gives but for the forgotten, which its users know to leave out."""
    return [timer_id for timer_id in index.after(after, prefix) if timer_id not in index._forgotten]


def listed_below(index: IdIndex, prefix: str) -> list[str]:
    return sorted(timer_id for timer_id in index.below(prefix) if timer_id not in index._forgotten)


def held(index: IdIndex) -> int:
    """All entries there are, those of forgotten ids too."""
    return len(index._fresh) + sum(map(len, index._runs))


@pytest.mark.usefixtures("small_runs")
class TestAgainstASet:
    @given(steps, st.none() | ids, st.text("ab/1", max_size=3))
    def test_same_ids_in_the_same_order(self, played: Steps, after: str | None, prefix: str) -> None:
        index, known = IdIndex(), set()
        play(index, known, played)

        assert listed(index, after, prefix) == expected(known, after, prefix)
        assert listed_below(index, prefix) == expected(known, None, prefix)
        assert listed(index, None, "") == sorted(known)

    @given(st.sets(ids), steps, st.none() | ids, st.text("ab/1", max_size=3))
    def test_same_ids_after_a_load(self, loaded: set[str], played: Steps, after: str | None, prefix: str) -> None:
        index, known = IdIndex(), set(loaded)
        index.add("zz")  # a load forgets it
        index.load(loaded)
        play(index, known, played)

        assert listed(index, after, prefix) == expected(known, after, prefix)

    @given(steps, steps)
    def test_looking_between_steps_changes_nothing(self, played: Steps, more: Steps) -> None:
        index, known = IdIndex(), set()
        play(index, known, played)
        list(islice(index.after(None, "a"), 3))
        play(index, known, more)

        assert listed(index, None, "") == sorted(known)


def test_runs_are_made_and_merged_at_their_true_size() -> None:
    index, known = IdIndex(), set()
    play(index, known, [("add", f"{number * 7919 % 20_000:05}") for number in range(20_000)])

    assert listed(index, None, "") == sorted(known)
    assert listed(index, "09999", "") == [f"{number:05}" for number in range(10_000, 20_000)]
    assert len(index._runs) < 20


def test_forgotten_ids_are_swept_out() -> None:
    index, known = IdIndex(), set()
    play(index, known, [("add", f"{number:06}") for number in range(50_000)])
    play(index, known, [("forget", f"{number:06}") for number in range(49_000)])

    assert listed(index, None, "") == sorted(known)
    assert held(index) < 6_000


def test_ids_that_were_swept_out_can_come_back() -> None:
    index, known = IdIndex(), set()
    all_ids = [f"{number:05}" for number in range(10_000)]
    play(index, known, [("add", timer_id) for timer_id in all_ids])
    play(index, known, [("forget", timer_id) for timer_id in all_ids[1000:]])
    assert held(index) < 6_000

    play(index, known, [("add", timer_id) for timer_id in reversed(all_ids)])

    assert listed(index, None, "") == all_ids


def test_a_queue_of_ids_that_come_and_go_does_not_grow() -> None:
    index, known = IdIndex(), set()
    for number in range(50_000):
        play(index, known, [("add", f"{number:06}"), ("forget", f"{number - 100:06}")])

    assert listed(index, None, "") == sorted(known)
    assert held(index) < 6_000


def test_a_few_ids_started_and_forgotten_again_and_again_do_not_grow() -> None:
    index, known = IdIndex(), set()
    for number in range(30_000):
        play(index, known, [("forget", f"{number % 7}"), ("add", f"{number % 7}")])

    assert listed(index, None, "") == sorted(known)
    assert held(index) < 6_000


def scattered(count: int) -> list[str]:
    """So many ids, of which some came in order, some were overtaken, and some come from all over."""
    in_order = [f"{number:04}" for number in range(0, count, 2)]
    return in_order + [f"{number * 7919 % count:04}a" for number in range(count)]


@pytest.mark.usefixtures("small_runs")
def test_a_walk_goes_on_from_run_to_run_wherever_it_begins() -> None:
    index, known = IdIndex(), set()
    play(index, known, [("add", timer_id) for timer_id in scattered(300)])
    play(index, known, [("forget", timer_id) for timer_id in scattered(300)[::3]])
    in_order = sorted(known)
    assert sum(len(run) > id_index._LONG for run in index._runs) > 10

    for at, timer_id in enumerate(in_order):
        assert listed(index, timer_id, "") == in_order[at + 1 :]
        assert listed(index, timer_id[:-1], timer_id[:2]) == expected(known, timer_id[:-1], timer_id[:2])


@pytest.mark.usefixtures("small_runs")
def test_a_walk_looks_at_the_runs_alone_that_it_comes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page takes the same among ten million ids as among a million: both are many runs, of which few are there."""
    index = IdIndex()
    index.load(f"b/{number:03}" for number in range(800))
    looked_at: list[int] = []

    def lines(runs: Iterable[list[str]], after: str | None, first: str) -> list[Iterator[str]]:
        looked_at.append(sum(1 for run in runs if run))
        return _lines(runs, after, first)

    monkeypatch.setattr(id_index, "_lines", lines)

    assert list(islice(index.after("b/315", "b/"), 10)) == [f"b/{number}" for number in range(316, 326)]
    assert looked_at == [1, 1]
    assert list(index.after(None, "c")) == []
    assert looked_at[2:] == [0]


@pytest.mark.usefixtures("small_runs")
def test_runs_that_follow_one_another_are_one_line() -> None:
    """What a page costs goes with the lines that it merges: ids that came in order, or with the log, are one."""
    index = IdIndex()
    index.load(f"b/{number:03}" for number in range(100))
    for number in range(100, 200):
        index.add(f"b/{number:03}")
    runs = (*index._runs, index._fresh)
    assert len(runs) > 10

    assert len(_lines(runs, None, "")) == len(_lines(runs, "b/050", "b/")) == 1
    assert _lines(runs, "b/199", "") == []
    for number in range(0, 200, 7):
        index.add(f"b/{number:03}/more")
    lines = _lines((*index._runs, index._fresh), None, "")
    assert 1 < len(lines) < len(index._runs)
    assert list(merge(*lines)) == sorted(chain(*index._runs, index._fresh))
