"""Many timers at once, over several servers: what is asked of each, and what the answers come to."""

from collections.abc import Sequence
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from timer_protocol.errors import Refusal
from timer_protocol.limits import Limits
from timer_protocol.many import (
    ChangedMany,
    ChangeManyParams,
    RefusedChange,
    RefusedStart,
    StartedMany,
    StartManyParams,
)
from timer_server.core.many import check_change, check_columns, select
from timer_server.requests.asking import Asking
from timer_server.requests.gathering import Dialogue
from timer_server.requests.listing import list_page
from timer_server.requests.many import check_batch
from timer_server.requests.pages import PagePart, merged
from timer_server.requests.placement import shard_number

T = TypeVar("T")


class ChosenParams(Struct, frozen=True):
    """What to do to some timers, which were chosen by `params` before."""

    ids: list[str]
    params: ChangeManyParams


def start_over_servers(params: StartManyParams, limits: Limits, asking: Asking) -> Dialogue:
    """Starts timers, each in its shard. Raises `Refusal`; then none is started."""
    asking.room.check()
    check_batch(params, limits)
    check_columns(params)
    numbers = [shard_number(timer_id, len(asking.all)) for timer_id in params.ids]

    def indexes(some: frozenset[int]) -> list[int]:
        return [index for index, number in enumerate(numbers) if number in some]

    started = 0
    existing: list[int] = []
    refused: list[RefusedStart] = []
    asked = asking.ask("shards.start_many", lambda some: _rows(params, indexes(some)), frozenset(numbers))
    for told in (yield asked) if numbers else ():
        value, places = asking.value(told), indexes(told.shards)
        if isinstance(value, Refusal):
            refused += [RefusedStart(index, value.to_error()) for index in places]
            continue
        started += value.started
        existing += [places[index] for index in value.existing]
        refused += [RefusedStart(places[one.index], one.error) for one in value.refused]
    return StartedMany(started, sorted(existing), sorted(refused, key=lambda one: one.index))


def change_over_servers(params: ChangeManyParams, asking: Asking) -> Dialogue:
    """Changes a page of timers, which are selected first, so that all servers end it at the same id.

    Timers are changed once each: where large payloads end the part of one server early, it is asked for the rest.
    """
    asking.room.check()
    check_change(params)
    if params.ids is not None:
        ids, next_id, _ = select(lambda *_: list_page((), *_), params, 0)
        asking.room.left_entries -= len(ids)
    else:
        page: PagePart[str, None] = merged(asking.values((yield asking.same("shards.select", params))), params.limit)
        ids, next_id = page.keys, page.next
    changed, unchanged = 0, 0
    refused: list[RefusedChange] = []
    of_each = replace(params, ids=None if params.ids is None else [], after=None)
    while ids:
        chosen = _Chosen(ids, of_each, len(asking.all))
        ids = []
        for told in (yield asking.ask("shards.change_many", chosen.params_for, chosen.shards)):
            value, own = asking.value(told), chosen.ids_in(told.shards)
            if isinstance(value, Refusal):
                refused += [RefusedChange(timer_id, value.to_error()) for timer_id in own]
                continue
            changed, unchanged, refused = changed + value.changed, unchanged + value.unchanged, refused + value.refused
            ids += own[value.done :]
    return ChangedMany(changed, unchanged, sorted(refused, key=lambda one: one.id), next_id)


class _Chosen:
    """Timers to be changed, by their shards."""

    def __init__(self, ids: Sequence[str], params: ChangeManyParams, count: int) -> None:
        self._params = params
        self._numbers = {timer_id: shard_number(timer_id, count) for timer_id in ids}
        self.shards = frozenset(self._numbers.values())

    def ids_in(self, some: frozenset[int]) -> list[str]:
        """Those of some shards, in order."""
        return [timer_id for timer_id, number in self._numbers.items() if number in some]

    def params_for(self, some: frozenset[int]) -> ChosenParams:
        """What is asked about those."""
        return ChosenParams(self.ids_in(some), self._params)


def _rows(params: StartManyParams, indexes: Sequence[int]) -> StartManyParams:
    """Some of the timers that are to be started."""

    def those(column: list[T]) -> list[T]:
        return [column[index] for index in indexes]

    return StartManyParams(
        those(params.ids),
        those(params.seconds) if isinstance(params.seconds, list) else params.seconds,
        None if params.labels is None else those(params.labels),
        None if params.payloads is None else those(params.payloads),
        those(params.traces) if isinstance(params.traces, list) else params.traces,
    )
