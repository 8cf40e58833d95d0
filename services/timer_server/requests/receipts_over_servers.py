"""Receipts over several servers: each goes to the shard of the log that it names."""

from collections.abc import Generator, Mapping, Sequence
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from timer_protocol.limits import LOG_ID_CHARACTERS
from timer_protocol.queue_messages import (
    AckParams,
    DeadMoved,
    MoveDeadParams,
    NackParams,
    QueueParams,
    Renewed,
    RenewParams,
    Settled,
)
from timer_server.core.queues.receipts import Receipts
from timer_server.requests.asking import Asking, NoParams
from timer_server.requests.dead_letters import Death, check_choice, cursor_of
from timer_server.requests.deliveries import check_delay
from timer_server.requests.gathering import Ask, Dialogue, Told
from timer_server.requests.pages import PagePart, merged
from timer_server.requests.placement import shard_number
from timer_server.requests.queue_receipts import joined

P = TypeVar("P", AckParams, NackParams, RenewParams, MoveDeadParams)
Asks = Generator[Ask | Sequence[Ask], list[Told], Any]


class LogNumbers:
    """The numbers of the shards by the ids of their logs, as far as this server has been told.

    A log keeps its shard. One that is made anew has another id.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def learn(self, numbers: Mapping[str, int]) -> None:
        """Notes some."""
        self._numbers.update(numbers)

    def find(self, log_id: str) -> int | None:
        """The number of the shard of a log; None where it is not known."""
        return self._numbers.get(log_id)


class Found(Struct, frozen=True):
    """Which receipts some shards have found, and whether any of those shards knows the queue.

    `until_ms` is until when the deliveries are leased, where that was asked for.
    """

    done: list[str]
    is_known: bool
    until_ms: int = 0


def ack_over_servers(params: AckParams, asking: Asking, logs: LogNumbers) -> Dialogue:
    """Is done with deliveries. Raises `Refusal`."""
    found = yield from _find("shards.ack", params, params.receipts, asking, logs)
    return Settled(*joined(params.receipts, [one.done for one in found]))


def nack_over_servers(params: NackParams, asking: Asking, logs: LogNumbers) -> Dialogue:
    """Gives deliveries back, or up. Raises `Refusal`."""
    check_delay(params)
    found = yield from _find("shards.nack", params, params.receipts, asking, logs)
    return Settled(*joined(params.receipts, [one.done for one in found]))


def renew_over_servers(params: RenewParams, asking: Asking, logs: LogNumbers) -> Dialogue:
    """Leases deliveries for longer. Raises `Refusal`."""
    found = yield from _find("shards.renew", params, params.receipts, asking, logs)
    leased, lost = joined(params.receipts, [one.done for one in found])
    return Renewed(leased, min((one.until_ms for one in found if one.is_known), default=0), lost)


def move_dead_over_servers(method: str, params: MoveDeadParams, asking: Asking, logs: LogNumbers) -> Dialogue:
    """Revives or drops dead letters: those with the receipts, or the next of all. Raises `Refusal`."""
    check_choice(params)
    receipts, after = params.receipts, None
    if receipts is None:
        parts = asking.values((yield asking.same("shards.dead_receipts", params)))
        page: PagePart[Death, str] = merged(parts, params.limit)
        receipts, after = page.items, cursor_of(page.next)
        logs.learn(
            {receipt[:LOG_ID_CHARACTERS]: death.shard for death, receipt in zip(page.keys, receipts, strict=True)}
        )
        if not receipts:
            return DeadMoved([], [], None)
    found = yield from _find(method, replace(params, after=None), receipts, asking, logs)
    return DeadMoved(*joined(receipts, [one.done for one in found]), after)


def _find(method: str, params: P, receipts: Sequence[str], asking: Asking, logs: LogNumbers) -> Asks:
    """Asks the shards of the receipts what is done with them. A receipt of no log that there is goes to the home.

    Raises `Refusal`: invalid_params for other texts, before anything is applied.
    """
    home = shard_number(params.queue, len(asking.all))
    Receipts("", params.queue).numbers(receipts)
    log_ids = {receipt[:LOG_ID_CHARACTERS] for receipt in receipts}
    if any(logs.find(log_id) is None for log_id in log_ids):
        for numbers in asking.values((yield asking.same("shards.logs", NoParams()))):
            logs.learn(numbers)

    def number_of(receipt: str) -> int:
        number = logs.find(receipt[:LOG_ID_CHARACTERS])
        return home if number is None else number

    numbers_of = {receipt: number_of(receipt) for receipt in receipts}

    def params_for(some: frozenset[int]) -> P:
        return replace(params, receipts=[receipt for receipt, number in numbers_of.items() if number in some])

    found = asking.values((yield asking.ask(method, params_for, frozenset(numbers_of.values()))))
    if not any(one.is_known for one in found):
        asking.values((yield asking.same("shards.queue", QueueParams(params.queue), frozenset([home]))))
    return found
