"""All timer ids in order, cheap to add to: sorted runs, merged as they grow (a log-structured merge tree in small).

A start only appends to a list; sorting is paid once per run, and a page of `timer.list` merges what it needs.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from heapq import merge

_RUN = 1024
_RUN_MAXIMUM = 65_536
"""Merging stops here, so that no single merge holds up the loop for more than some milliseconds."""


class IdIndex:
    """The ids for which `is_known` holds, in order. Forgotten ids are skipped, and swept out when they are many."""

    def __init__(self, is_known: Callable[[str], bool]) -> None:
        self._is_known = is_known
        self._fresh: list[str] = []
        self._runs: list[list[str]] = []
        self._forgotten = 0

    def __len__(self) -> int:
        return len(self._fresh) + sum(map(len, self._runs))

    def load(self, ids: Iterable[str]) -> None:
        """Replaces all ids."""
        ordered = sorted(ids)
        self._fresh = []
        self._runs = [ordered[start : start + _RUN_MAXIMUM] for start in range(0, len(ordered), _RUN_MAXIMUM)]
        self._forgotten = 0

    def add(self, timer_id: str) -> None:
        """Takes in an id that has become known."""
        self._fresh.append(timer_id)
        if len(self._fresh) >= _RUN:
            self._push(sorted(self._fresh))
            self._fresh = []

    def forget(self) -> None:
        """Says that one id is no longer known. Now and then one run is swept, the oldest first."""
        self._forgotten += 1
        if self._runs and self._forgotten > len(self) // (2 * len(self._runs)) + _RUN:
            self._forgotten = 0
            self._push(list(filter(self._is_known, self._runs.pop(0))))

    def after(self, after: str | None, prefix: str) -> Iterator[str]:
        """The known ids that begin with `prefix` and sort after `after`, in order, each once."""
        self._fresh.sort()
        last = None
        for timer_id in merge(*(_tail(run, after, prefix) for run in (*self._runs, self._fresh))):
            if not timer_id.startswith(prefix):
                return
            # An id that was forgotten and started again stands here twice.
            if timer_id != last and self._is_known(timer_id):
                yield timer_id
            last = timer_id

    def _push(self, run: list[str]) -> None:
        while self._runs and len(self._runs[-1]) <= len(run) and len(self._runs[-1]) + len(run) <= _RUN_MAXIMUM:
            run = sorted(self._runs.pop() + run)
        if run:
            self._runs.append(run)


def _tail(run: list[str], after: str | None, prefix: str) -> Iterator[str]:
    """The part of a run that sorts after `after` and not before `prefix`, without a copy."""
    start = bisect_left(run, prefix)
    if after is not None:
        start = max(start, bisect_right(run, after))
    return map(run.__getitem__, range(start, len(run)))
