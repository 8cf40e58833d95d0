"""Changes of many timers in one step, where each of them would be changed by a request of its own."""

from collections.abc import Sequence
from typing import NamedTuple

from timer_protocol.errors import Refusal
from timer_protocol.limits import Limits
from timer_protocol.many import ChangeManyParams
from timer_protocol.messages import State
from timer_server.core.bulk_effects import BULK_EFFECTS, Times, remaining_ms
from timer_server.core.bulk_ends import Ends
from timer_server.core.bulk_versions import BulkVersions, Step
from timer_server.core.effects import round_up
from timer_server.core.keys import digest_of, knows
from timer_server.core.ledger import Ledger
from timer_server.core.model import ENDED_KINDS, NUMBER_OF
from timer_server.core.plans.timers import PLAN_MARK
from timer_server.core.records import DUE_IN_ROW, Columns, columns_of
from timer_server.core.room import ENTRY_BYTES, Room
from timer_server.core.transitions import TRANSITIONS, Change

_BESIDE_PAYLOAD_BYTES = 2_000
"""What a record has at most besides the payload: an id, a label and keys, all of them long."""


class Changing(NamedTuple):
    """Timers that a request changes, as they are before, the times that it sets of them, and what happens to them."""

    before: Columns
    times: Times
    step: Step


class Looked(NamedTuple):
    """Timers as they were looked at: those that change, if any, how many do not, and the bytes of all payloads."""

    changing: Changing | None
    unchanged: int
    payload_bytes: int


class BulkChanges:
    """Changes timers that are pending, and go by no wall clock and no plan, all at once. It refuses none: where one
    might be refused, or has seen the request, all are left to single requests, which say so."""

    def __init__(self, limits: Limits, ledger: Ledger, room: Room) -> None:
        self._limits = limits
        self._ledger = ledger
        self._room = room

    def look_at(
        self, timer_ids: Sequence[str], params: ChangeManyParams, most_bytes: int, now_ns: int
    ) -> Looked | None:
        """These timers; None where one might be refused, is overdue, or is named twice, or payloads have more bytes."""
        rows = self._ledger.rows_of(timer_ids, most_bytes + len(timer_ids) * _BESIDE_PAYLOAD_BYTES)
        if not rows or len(set(timer_ids)) < len(timer_ids):
            return None
        every = columns_of(rows)
        key = None if params.key is None else digest_of(params.key)
        if min(remaining_ms(every, now_ns)) <= 0 or not _are_plain(every, key):
            return None
        states, payload_bytes = set(map(_state, every.dues_ms)), sum(map(len, every.payloads))
        if not states.issubset(params.states) or payload_bytes > most_bytes:
            return None
        changes = {state: made for state in states if isinstance(made := TRANSITIONS[state, params.action], Change)}
        if not changes:
            return Looked(None, len(rows), payload_bytes)
        (kind,) = {change.kind for change in changes.values()}
        before = every
        if len(changes) < len(states):
            before = columns_of([row for row in rows if _state(row[DUE_IN_ROW]) in changes])
        step = Step(NUMBER_OF[kind], round_up(now_ns), key)
        changing = self._possible(before, params, step, now_ns)
        return changing and Looked(changing, len(rows) - len(before.ids), payload_bytes)

    def change(self, changing: Changing) -> None:
        """Changes timers as they were looked at, in order."""
        before, times, step = changing
        ledger = self._ledger
        ledger.take_news()  # it comes before the changes
        place, others = ledger.last_place + 1, ledger.others
        if step.kind_number in ENDED_KINDS:
            ledger.end_all(Ends(before, step, place, others))
            return
        self._room.take_bytes(ENTRY_BYTES * len(before.ids))
        ledger.change_all(BulkVersions(before, times, step, place, others))

    def _possible(self, before: Columns, params: ChangeManyParams, step: Step, now_ns: int) -> Changing | None:
        """What a request does to timers; None where one might be refused."""
        if step.kind_number not in ENDED_KINDS and ENTRY_BYTES * len(before.ids) > self._room.left_bytes:
            return None
        try:
            return Changing(before, BULK_EFFECTS[params.action](before, params, now_ns, self._limits), step)
        except Refusal:
            return None


def _state(due_ms: int | None) -> State:
    return "paused" if due_ms is None else "running"


def _are_plain(timers: Columns, key: bytes | None) -> bool:
    """Whether none is of a plan, was started for a moment of the wall clock, or has seen the key."""
    return not any(PLAN_MARK in timer_id for timer_id in timers.ids) and all(
        revision is None or (revision.wall is None and (key is None or not knows(revision.keys, key)))
        for revision in timers.revisions
    )
