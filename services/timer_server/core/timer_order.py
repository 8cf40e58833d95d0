"""The timers of a ledger in order: by their ids, or the running ones by their deadlines."""

from collections.abc import Callable, Collection, Iterator, Mapping
from heapq import merge
from operator import itemgetter

from timer_protocol.messages import State
from timer_server.core.deadlines import Deadlines
from timer_server.core.id_index import IdIndex
from timer_server.core.model import Countdown, Recall
from timer_server.core.records import Record, head, is_paused, unpack


class TimerOrder:
    """Reads what the ledger holds: the records of pending timers, and the places of the last events of ended ones."""

    def __init__(
        self,
        pending: Mapping[str, Record],
        ended: Mapping[State, Mapping[str, int]],
        ids: IdIndex,
        deadlines: Deadlines,
        wall_deadlines: Deadlines,
        ended_at: Callable[[str, int], Countdown | Recall],
    ) -> None:
        """`ended_at` finds an ended timer by its id and the place of its last event."""
        self._pending = pending
        self._ended = ended
        self._ids = ids
        self._deadlines = deadlines
        self._wall_deadlines = wall_deadlines
        self._ended_at = ended_at

    def by_id(
        self, after: str | None, prefix: str, states: Collection[State], due_before_ms: int | None = None
    ) -> Iterator[tuple[str, Countdown | Recall | None]]:
        """The ids that sort after `after` and begin with `prefix`, each with its timer if that is to be listed.

        Listed are those in one of `states`, and due before `due_before_ms`, which only running ones are.
        """
        for timer_id in self._ids.after(after, prefix):
            record = self._pending.get(timer_id)
            if record is None:
                places = (ended.get(timer_id) for state, ended in self._ended.items() if state in states)
                place = next(filter(None, places), None)
                yield timer_id, None if place is None else self._ended_at(timer_id, place)
            else:
                is_wanted = ("paused" if is_paused(record) else "running") in states
                timer = unpack(record) if is_wanted else None
                yield timer_id, timer if due_before_ms is None or _is_due_before(timer, due_before_ms) else None

    def by_deadline(self, prefix: str, due_before_ms: int | None = None) -> Iterator[tuple[int, Countdown | None]]:
        """The running timers in the order of their deadlines, with these, up to those due before a moment.

        None stands for what is not to be listed: another id, or a record of a timer that has changed since.
        """
        for due_at_ms, record in self._by_due_ms():
            if due_before_ms is not None and due_at_ms >= due_before_ms:
                return
            timer_id = head(record).id
            is_wanted = timer_id.startswith(prefix) and self._pending.get(timer_id) is record
            yield due_at_ms, unpack(record) if is_wanted else None

    def _by_due_ms(self) -> Iterator[tuple[int, Record]]:
        """The records of running timers, with when they are due on the timeline, in that order."""
        elapsed = ((head(record).due_at_ms or 0, record) for record in self._deadlines.in_order())
        if not len(self._wall_deadlines):
            return elapsed
        bound = ((unpack(record).due_on_timeline_ms or 0, record) for record in self._wall_deadlines.in_order())
        return merge(elapsed, bound, key=itemgetter(0))


def _is_due_before(timer: Countdown | None, moment_ms: int) -> bool:
    due_at_ms = None if timer is None else timer.due_on_timeline_ms
    return due_at_ms is not None and due_at_ms < moment_ms
