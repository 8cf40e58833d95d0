"""Requests about many timers at once: each timer is treated as by a request of its own, one after the other."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from heapq import merge
from itertools import repeat
from operator import itemgetter
from typing import NamedTuple

from msgspec.structs import replace

from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.limits import LABEL_CHARACTERS
from timer_protocol.many import (
    Action,
    ChangeManyParams,
    RefusedChange,
    RefusedStart,
    StartedMany,
    StartManyParams,
)
from timer_protocol.messages import (
    NULL,
    CancelParams,
    ExtendParams,
    GetParams,
    ListParams,
    PauseParams,
    RestartParams,
    ResumeParams,
    StartParams,
)
from timer_protocol.plurals import counted
from timer_server.core.bulk_changes import Changing, Looked
from timer_server.core.bulk_starts import Starts
from timer_server.core.engine import Engine
from timer_server.core.listing import Listing
from timer_server.core.model import STARTED, Countdown, Recall
from timer_server.core.versions import ChangeParams

EventAt = Callable[[int], Countdown]
"""Reads the event at a place of the log. It may raise `Refusal` where one request has had too many read."""

_CHANGES: dict[Action, Callable[[str, ChangeManyParams], ChangeParams]] = {
    "pause": lambda timer_id, params: PauseParams(timer_id, params.key),
    "resume": lambda timer_id, params: ResumeParams(timer_id, params.key),
    "cancel": lambda timer_id, params: CancelParams(timer_id, params.key),
    "extend": lambda timer_id, params: ExtendParams(timer_id, seconds=params.seconds or 0, key=params.key),
    "restart": lambda timer_id, params: RestartParams(timer_id, params.key),
}
"""For each action, the request about one timer that it stands for."""


class Timers:
    """The timers of a shard, as a request about many sees them."""

    __slots__ = ("engine", "event_at", "last_seq", "now_ns")

    def __init__(self, engine: Engine, now_ns: int, event_at: EventAt) -> None:
        self.engine = engine
        self.now_ns = now_ns
        """The moment of the request on the timeline of the shard."""
        self.event_at = event_at
        self.last_seq = engine.last_seq
        """The `seq` of the last timer that the request has started, at first that of the log."""

    def start_all(self, starts: Starts, of_all: int) -> bool:
        """Starts some of so many timers in one step; False, and nothing has changed, where one might be refused."""
        return self.engine.bulk_starts.start(starts, of_all, self.now_ns) is not None

    def look_at_all(self, timer_ids: Sequence[str], params: ChangeManyParams, most_bytes: int) -> Looked | None:
        """Timers as they are to be changed in one step; None where one might be refused or is overdue, or their
        payloads have more bytes."""
        return self.engine.bulk_changes.look_at(timer_ids, params, most_bytes, self.now_ns)

    def change_all(self, changing: Changing) -> None:
        """Changes timers as they were looked at."""
        self.engine.bulk_changes.change(changing)

    def ask(self, params: StartParams | GetParams) -> Countdown:
        """The timer after a request; one that has ended is read from the log. Raises `Refusal`."""
        timer = self.engine.handle(params, self.now_ns)
        if isinstance(timer, Recall):
            timer = self.engine.handle(params, self.now_ns, self.event_at(timer.place))
            assert not isinstance(timer, Recall)
        return timer


class NoTimers(Timers):
    """Stands for the timers of a shard that cannot be asked: each request is refused."""

    __slots__ = ("_refusal",)

    def __init__(self, refusal: Refusal) -> None:
        self._refusal = refusal

    def start_all(self, _: Starts, __: int) -> bool:
        return False

    def look_at_all(self, _: Sequence[str], __: ChangeManyParams, ___: int) -> Looked | None:
        return None

    def ask(self, _: StartParams | GetParams) -> Countdown:
        raise self._refusal


PartsOf = Callable[[Sequence[str]], Iterable[tuple[Timers, Sequence[int]]]]
"""Parts some ids by their shards: the timers of each shard, and the positions of its ids, in order."""

ListPage = Callable[[ListParams, int], Listing]
"""Makes a page of the timers of all shards, among so many of them. It may raise `Refusal`."""


def start_many(parts_of: PartsOf, params: StartManyParams) -> StartedMany:
    """Starts timers: those of a shard in one step, or one after the other where one of them might be refused.

    Raises `Refusal` (invalid_params) where the columns differ in length; then nothing is started.
    """
    check_columns(params)
    starts = _starts(params)
    started = 0
    one_by_one: list[tuple[int, Timers]] = []
    for timers, positions in parts_of(params.ids):
        if timers.start_all(starts.at(positions), len(params.ids)):
            started += len(positions)
        else:
            one_by_one += zip(positions, repeat(timers), strict=False)
    one_by_one.sort(key=itemgetter(0))
    existing: list[int] = []
    refused: list[RefusedStart] = []
    for index, timers in one_by_one:
        try:
            timer = timers.ask(_start(starts, index))
        except Refusal as refusal:
            refused.append(RefusedStart(index, refusal.to_error()))
            continue
        if timer.kind_number == STARTED and timer.seq > timers.last_seq:
            started, timers.last_seq = started + 1, timer.seq
        else:
            existing.append(index)
    return StartedMany(started, existing, refused)


class Selection(NamedTuple):
    """The timers to change: their ids in order, the id to go on after, and how many ids were looked at."""

    ids: list[str]
    next: str | None
    scanned: int

    def next_after(self, done: int) -> str | None:
        """The id to go on after where only the first `done` were changed."""
        return self.next if done == len(self.ids) else self.ids[done - 1]


class Changed(NamedTuple):
    """What became of the first `done` of some timers, and the bytes of the payloads handled for that."""

    changed: int
    unchanged: int
    refused: list[RefusedChange]
    done: int
    payload_bytes: int


def select(list_page: ListPage, params: ChangeManyParams, scan: int) -> Selection:
    """A page of the timers that a change is for, found among the next `scan` ids.

    Raises `Refusal` (invalid_params) for params that make no sense together.
    """
    check_change(params)
    if params.ids is not None:
        asked = sorted({timer_id for timer_id in params.ids if params.after is None or timer_id > params.after})
        ids = asked[: params.limit]
        return Selection(ids, ids[-1] if len(asked) > len(ids) else None, len(ids))
    listing = list_page(ListParams(params.prefix or "", None, params.after, params.limit, params.states), scan)
    return Selection([entry.id for entry in listing.entries], listing.next, listing.scanned)


def change_many(parts_of: PartsOf, ids: Sequence[str], params: ChangeManyParams, most_bytes: int) -> Changed:
    """Changes timers that were selected, in the order of their ids. It ends after that many bytes of payloads."""
    parts = [*parts_of(ids)]
    if (changed := _change_all(parts, ids, params, most_bytes)) is not None:
        return changed
    changes = _Changes(params)
    done = 0
    for position, timers in merge(*(zip(at, repeat(part), strict=False) for part, at in parts), key=itemgetter(0)):
        if changes.payload_bytes > most_bytes:
            break
        changes.apply(timers, ids[position])
        done += 1
    return changes.so_far(done)


def _change_all(
    parts: Sequence[tuple[Timers, Sequence[int]]], ids: Sequence[str], params: ChangeManyParams, most_bytes: int
) -> Changed | None:
    """Changes timers in one step for each shard; None, and nothing has changed, where that might not come to the same
    as one after the other."""
    if params.dry_run:
        return None
    looked_at, left_bytes, unchanged = [], most_bytes, 0
    for timers, positions in parts:
        found = timers.look_at_all([ids[position] for position in positions], params, left_bytes)
        if found is None:
            return None
        looked_at.append((timers, found.changing))
        left_bytes, unchanged = left_bytes - found.payload_bytes, unchanged + found.unchanged
    for timers, changing in looked_at:
        if changing is not None:
            timers.change_all(changing)
    return Changed(len(ids) - unchanged, unchanged, [], len(ids), most_bytes - left_bytes)


class _Changes:
    """The changes of one page so far."""

    def __init__(self, params: ChangeManyParams) -> None:
        self._params = params
        self._changed = 0
        self._unchanged = 0
        self._refused: list[RefusedChange] = []
        self._begun: Counter[str] = Counter()
        """Ended timers that a dry run has found would run again, below each prefix that they count in."""
        self.payload_bytes = 0

    def apply(self, timers: Timers, timer_id: str) -> None:
        """Changes one timer, or notes why that is not possible."""
        try:
            found = timers.ask(GetParams(timer_id))
            self.payload_bytes += len(found.payload)
            self._change(timers, found)
        except Refusal as refusal:
            if self._params.ids is not None or refusal.code is not ErrorCode.TIMER_NOT_FOUND:  # else just forgotten
                self._refused.append(RefusedChange(timer_id, refusal.to_error()))

    def so_far(self, done: int) -> Changed:
        """What has become of as many timers."""
        return Changed(self._changed, self._unchanged, self._refused, done, self.payload_bytes)

    def _change(self, timers: Timers, found: Countdown) -> None:
        params, engine = self._params, timers.engine
        is_selected = found.state in params.states
        if not is_selected and params.ids is None:  # it has fired just now
            return
        change = _CHANGES[params.action](found.id, params)
        if is_selected and not params.dry_run:
            has_changed = engine.change(found, change, timers.now_ns) is not found
        else:
            has_changed = engine.would_change(found, change, timers.now_ns, self._begun)
        if has_changed and not is_selected:
            what = f"timer {found.id!r} is {found.state}, which is none of the states that are asked for"
            raise Refusal(ErrorCode.WRONG_STATE, what, id=found.id, state=found.state)
        if has_changed and params.dry_run and found.has_ended:
            self._begun.update(engine.places.counted_below(found.id))
        self._changed += has_changed
        self._unchanged += not has_changed


def check_change(params: ChangeManyParams) -> None:
    """Raises `Refusal` (invalid_params) where params are missing, or are for something else."""
    action = params.action
    if (params.prefix is None) == (params.ids is None):
        fault = 'exactly one of prefix ("" is all timers) and ids is needed'
    elif params.key is None and action in ("extend", "restart"):
        fault = f"{action} needs a key, so that a repeated request has no second effect"
    elif params.seconds is None and action == "extend":
        fault = "extend needs seconds, by how much; negative takes time away"
    elif params.seconds is not None and action != "extend":
        fault = f"seconds is for extend; {action} takes none"
    else:
        return
    raise Refusal(ErrorCode.INVALID_PARAMS, fault)


def check_columns(params: StartManyParams) -> None:
    """Raises `Refusal` (invalid_params) where the columns differ in length."""
    count = len(params.ids)
    columns = {
        "seconds": params.seconds,
        "labels": params.labels,
        "payloads": params.payloads,
        "traces": params.traces,
    }
    for name, column in columns.items():
        if isinstance(column, list) and len(column) != count:
            what = f"{name} has {counted(len(column), 'element')} for {counted(count, 'id')}: it needs one for each"
            raise Refusal(ErrorCode.INVALID_PARAMS, what)


def _starts(params: StartManyParams) -> Starts:
    """What is asked of each timer."""
    count = len(params.ids)
    traces = params.traces if isinstance(params.traces, list) else [params.traces] * count if params.traces else None
    return Starts(params.ids, params.seconds, params.labels, params.payloads, traces)


def _start(starts: Starts, index: int) -> StartParams:
    """The request of its own that one of the starts stands for. Raises `Refusal` (invalid_params) for a long label."""
    label = "" if starts.labels is None else starts.labels[index]
    _check_label(label)
    payload = NULL if starts.payloads is None else starts.payloads[index]
    seconds = starts.seconds[index] if isinstance(starts.seconds, Sequence) else starts.seconds
    start = StartParams(starts.ids[index], 0, 0, seconds, label, payload)
    trace = None if starts.traces is None else starts.traces[index]
    return start if trace is None else replace(start, trace=trace)


def _check_label(label: str) -> None:
    if len(label) > LABEL_CHARACTERS:
        what = f"a label has at most {LABEL_CHARACTERS} characters; this one has {len(label)}"
        raise Refusal(ErrorCode.INVALID_PARAMS, what)
