"""Cancelling many timers in one step, where each of them would be cancelled by a request of its own."""

from collections.abc import Sequence
from typing import NamedTuple

from timer_protocol.durations import NS_PER_MS
from timer_server.core.bulk_ends import Ends
from timer_server.core.effects import round_up
from timer_server.core.keys import knows
from timer_server.core.ledger import Ledger
from timer_server.core.model import NUMBER_OF, Revision
from timer_server.core.plans.timers import PLAN_MARK
from timer_server.core.records import Row
from timer_server.core.transitions import TRANSITIONS, Change


class Cancellable(NamedTuple):
    """Timers that may be cancelled at once, as their records have them, and the bytes of their payloads."""

    rows: Sequence[Row]
    payload_bytes: int


class BulkCancels:
    """Cancels timers that are pending, and go by no wall clock and no plan, all at once. It refuses none: all others
    are left to single requests."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def look_at(self, timer_ids: Sequence[str], key: str | None, now_ns: int) -> Cancellable | None:
        """These timers; None where one might be refused, or not change by this, or is named twice."""
        rows = self._ledger.rows_of(timer_ids)
        if not rows or len(set(timer_ids)) < len(timer_ids):
            return None
        now_ms, payload_bytes = now_ns // NS_PER_MS, 0
        for _, due_ms, _, _, _, _, timer_id, duration_ms, revision, *_, payload in rows:
            is_overdue = due_ms is not None and min(due_ms - now_ms, duration_ms) <= 0
            if is_overdue or PLAN_MARK in timer_id or (revision is not None and not _is_plain(revision, key)):
                return None
            payload_bytes += len(payload)
        return Cancellable(rows, payload_bytes)

    def cancel(self, timers: Cancellable, key: str | None, now_ns: int) -> None:
        """Cancels timers as they were looked at, in order."""
        change, same = TRANSITIONS["running", "cancel"], TRANSITIONS["paused", "cancel"]
        assert isinstance(change, Change)
        assert change == same
        ledger = self._ledger
        ledger.take_news()  # it comes before the ends
        ended = Ends(timers.rows, NUMBER_OF[change.kind], round_up(now_ns), ledger.last_place + 1, ledger.others, key)
        ledger.end_all(ended)


def _is_plain(revision: Revision, key: str | None) -> bool:
    """Whether a timer that was changed is bound to no moment, and has not seen the key."""
    return revision.wall is None and (key is None or not knows(revision.keys, key))
