"""All timer ids in order, in sorted runs that are merged as they grow (a small log-structured merge tree).

A start only appends to a list; each run is sorted once, and a page of `timer.list` merges what it needs. Of long runs
those are looked at that the page comes through, however many there are.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from itertools import chain, starmap
from operator import itemgetter
from typing import TypeVar

_BEHIND_ALL = "\U0010ffff"
"""A character that no id has, behind all of those."""

_RUN = 1024
_RUN_MAXIMUM = 65_536
"""The longest run. One merge holds up the loop for a millisecond, or five where ids come in no order; half as long ones
would halve that, and double what a page takes of such ids."""

_SWEEP_EVERY = 1024
"""Ids forgotten between two sweeps. A sweep of one run costs some milliseconds."""

_LONG = _RUN_MAXIMUM // 2
"""Runs longer than that are seldom merged, and not looked at where a walk does not come through them."""

K = TypeVar("K", str, int)
V = TypeVar("V")


class _Spans:
    """Some runs by where they begin and end."""

    def __init__(self, runs: Iterable[list[str]]) -> None:
        self._runs = sorted(runs, key=itemgetter(0))
        self._firsts = [run[0] for run in self._runs]
        by_last = sorted(range(len(self._runs)), key=lambda at: self._runs[at][-1])
        self._lasts = [self._runs[at][-1] for at in by_last]
        self._ranks = sorted(range(len(by_last)), key=by_last.__getitem__)
        """Where the last id of each run stands among those of all: a number is compared sooner than two ids."""

    def across(self, start: str) -> tuple[list[list[str]], str | None]:
        """The runs that have begun at an id and do not end before it, and where the next one begins, if any does."""
        begun, ended = bisect_right(self._firsts, start), bisect_left(self._lasts, start)
        runs = [self._runs[at] for at, rank in enumerate(self._ranks[:begun]) if rank >= ended]
        return runs, self._firsts[begun] if begun < len(self._firsts) else None


class IdIndex:
    """A set of ids in order. A forgotten id stays in its run until that is swept."""

    def __init__(self) -> None:
        self._forgotten_since_sweep = 0
        self._fresh: list[str] = []
        self._runs: list[list[str]] = []
        self._spans: _Spans | None = None
        """Those of the long runs; None where these have changed."""
        self._forgotten: set[str] = set()

    def load(self, ids: Iterable[str]) -> None:
        """Replaces all ids by these, which have to be distinct."""
        ordered = sorted(ids)
        self._fresh = []
        self._runs = [ordered[start : start + _RUN_MAXIMUM] for start in range(0, len(ordered), _RUN_MAXIMUM)]
        self._spans = None
        self._forgotten = set()

    def add(self, timer_id: str) -> None:
        """Adds an id that is not in the set."""
        if timer_id in self._forgotten:
            self._forgotten.remove(timer_id)
            return
        self._fresh.append(timer_id)
        if len(self._fresh) >= _RUN:
            self._push(sorted(self._fresh))
            self._fresh = []

    def add_all(self, timer_ids: Sequence[str]) -> None:
        """Adds ids that are not in the set, each of them once."""
        if self._forgotten and not self._forgotten.isdisjoint(timer_ids):
            for timer_id in timer_ids:
                self.add(timer_id)
            return
        self._fresh += timer_ids
        if len(self._fresh) >= _RUN:
            self._push(sorted(self._fresh))
            self._fresh = []

    def forget(self, timer_id: str) -> None:
        """Removes an id that is in the set. Once many were removed, the oldest run is swept now and then."""
        self._forgotten.add(timer_id)
        self._forgotten_since_sweep += 1
        if self._forgotten_since_sweep >= _SWEEP_EVERY and len(self._forgotten) > _RUN + self._held() // 16:
            self._forgotten_since_sweep = 0
            run = self._taken_out(0)
            self._push([kept for kept in run if kept not in self._forgotten])
            self._forgotten.difference_update(run)

    def after(self, after: str | None, prefix: str) -> Iterator[str]:
        """The ids that begin with `prefix` and sort after `after`, in order, forgotten ones among them.

        Those are not left out here, so that the caller can count all that it looks at.
        """
        self._fresh.sort()
        spans = self._spans = self._spans or _Spans(run for run in self._runs if len(run) > _LONG)
        short = [run for run in self._runs if len(run) <= _LONG]
        first: str | None = prefix if after is None or after < prefix else after
        while first is not None:
            long, until = spans.across(first)
            for timer_id in merge(*_lines((*long, *short, self._fresh), after, first)):
                if until is not None and timer_id > until:
                    break
                if not timer_id.startswith(prefix):
                    return
                yield timer_id
            first, after = until, None

    def below(self, prefix: str) -> Iterator[str]:
        """The ids that begin with `prefix`, in no order, forgotten ones among them: half the work of `after`."""
        self._fresh.sort()
        for run in (*self._runs, self._fresh):
            yield from run[bisect_left(run, prefix) : bisect_left(run, prefix + _BEHIND_ALL)]

    def _held(self) -> int:
        return len(self._fresh) + sum(map(len, self._runs))

    def _push(self, run: list[str]) -> None:
        while self._runs and len(self._runs[-1]) <= len(run) and len(self._runs[-1]) + len(run) <= _RUN_MAXIMUM:
            before = self._taken_out(-1)
            is_behind = before[-1] < run[0]  # as ids that sort by their time are
            run = before + run if is_behind else sorted(before + run)
        if run:
            self._runs.append(run)
            if len(run) > _LONG:
                self._spans = None

    def _taken_out(self, at: int) -> list[str]:
        run = self._runs.pop(at)
        if len(run) > _LONG:
            self._spans = None
        return run


def _lines(runs: Iterable[list[str]], after: str | None, prefix: str) -> list[Iterator[str]]:
    """The ids of some runs after `after` and not before `prefix`, in as few lines as those allow, each in order.

    A run that begins where another has ended goes on in its line: to merge lines costs more with each of them.
    """
    tails = [(run[start], run, start) for run in runs if (start := _start(run, after, prefix)) < len(run)]
    lines: list[list[tuple[list[str], int]]] = []
    for first, run, start in sorted(tails, key=itemgetter(0)):
        line = next((line for line in lines if line[-1][0][-1] < first), None)
        if line is None:
            lines.append([(run, start)])
        else:
            line.append((run, start))
    return [chain.from_iterable(starmap(_tail, line)) for line in lines]


def _start(run: list[str], after: str | None, prefix: str) -> int:
    """Where a run goes on. Of many runs, most are seen to lie before or behind it by their ends."""
    first = prefix if after is None or after < prefix else after
    if not run or run[-1] < first:
        return len(run)
    if run[0] > first:
        return 0
    return bisect_left(run, prefix) if after is None or after < prefix else bisect_right(run, after)


def _tail(run: list[str], start: int) -> Iterator[str]:
    """The ids of a run from one on, without a copy."""
    return map(run.__getitem__, range(start, len(run)))


def in_order(lines: Sequence[Iterator[tuple[K, V]]]) -> Iterator[tuple[K, V]]:
    """What several lines have, each in the order of its own keys, in the order of all keys."""
    return lines[0] if len(lines) == 1 else merge(*lines, key=itemgetter(0))
