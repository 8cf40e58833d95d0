"""Takes over several servers: first all tell what they have, then some are asked to lease it.

So nothing is leased that nobody has asked for, and shards have their turn. Only where all are empty a take waits, once
at each server. The first that has something is enough, and whatever others have leased meanwhile is given back.
"""

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from timer_protocol.errors import Refusal
from timer_protocol.queue_messages import Deliveries, TakeParams
from timer_server.requests.aside import Aside
from timer_server.requests.asking import Asking
from timer_server.requests.deliveries import NOTHING, TakeFrom
from timer_server.requests.gathering import Dialogue
from timer_server.requests.room import ReplyRoom


class Looked(Struct, frozen=True):
    """How many ends of a queue are ready in each of some shards, and which of them know a take by its key."""

    ready: dict[int, int]
    knowing: list[int]


class TakeKey(Struct, frozen=True):
    """A take of a queue, by its key."""

    queue: str
    key: str


def take_over_servers(params: TakeParams, asking: Asking, turn_of: dict[str, int], aside: Aside) -> Dialogue:
    """Leases ready ends of the shards in turn; where there are none, those that come first. It has to have a key.

    Raises `Refusal`. `turn_of` has the number of the shard that each queue asks first.
    """
    assert params.key is not None
    now = replace(params, wait_ms=0)
    first = turn_of.get(params.queue, 0)
    looked = asking.values((yield asking.same("shards.look", now)))
    if knowing := frozenset(number for one in looked for number in one.knowing):
        again = asking.values((yield asking.same("shards.take", TakeFrom(now), knowing)))
        _give_back(params, asking, asking.all - knowing, aside)  # an earlier copy may wait there
        return Deliveries([delivery for taken in again for delivery in taken.deliveries])
    amounts = _planned({number: count for one in looked for number, count in one.ready.items()}, first, params.max)
    if amounts:
        leader = next(iter(amounts))

        def planned(some: frozenset[int]) -> TakeFrom:
            most = sum(count for number, count in amounts.items() if number in some)
            return TakeFrom(replace(now, max=most), first, least=1 if leader in some else 0)

        values = [asking.value(told) for told in (yield asking.ask("shards.take", planned, frozenset(amounts)))]
        given = [value for value in values if not isinstance(value, Refusal) and value.deliveries]
        if given:  # what one gave is not taken back where another has none to give
            turn_of[params.queue] = (_last(amounts, {value.last for value in given}) + 1) % len(asking.all)
            return Deliveries([delivery for taken in given for delivery in taken.deliveries])
        _raise_any(values)
    if not params.wait_ms:
        return NOTHING
    return (yield from _wait(params, asking, turn_of, aside))


def _wait(params: TakeParams, asking: Asking, turn_of: dict[str, int], aside: Aside) -> Dialogue:
    """Waits at all servers for the first that has something."""
    asking.so_far = NOTHING
    waiting = TakeFrom(params, turn_of.get(params.queue, 0))
    try:
        told = yield asking.ask("shards.await_take", lambda _: waiting, is_first_enough=True)
    except GeneratorExit:
        if asking.is_over:  # its client is told that there is nothing
            _give_back(params, asking, asking.all, aside)
        raise
    values = [(one.shards, asking.value(one)) for one in told]
    for shards, value in values:
        if not isinstance(value, Refusal) and value.deliveries:
            _give_back(params, asking, asking.all - shards, aside)
            if value.last is not None:
                turn_of[params.queue] = (value.last + 1) % len(asking.all)
            return Deliveries(value.deliveries)
    _raise_any([value for _, value in values])
    return NOTHING


def _give_back(params: TakeParams, asking: Asking, numbers: frozenset[int], aside: Aside) -> None:
    """Has a take end that waits in some shards, and what it has leased there given back. Nobody waits for that."""
    assert params.key is not None
    taken = TakeKey(params.queue, params.key)

    def dialogue() -> Dialogue:
        yield Asking(len(asking.all), ReplyRoom()).same("shards.give_back", taken, numbers)
        return None

    if numbers:
        aside.begin(dialogue())


def _planned(ready: Mapping[int, int], first: int, most: int) -> dict[int, int]:
    """How many to take of each shard, in turn, of each what is still missing."""
    amounts: dict[int, int] = {}
    for number in sorted(ready, key=lambda number: (number < first, number)):
        amount = min(ready[number], most - sum(amounts.values()))
        if amount > 0:
            amounts[number] = amount
    return amounts


def _last(amounts: Mapping[int, int], given: set[int]) -> int:
    """The last in turn of those shards that have given something."""
    return next(number for number in reversed(amounts) if number in given)


def _raise_any(values: list[object]) -> None:
    for value in values:
        if isinstance(value, Refusal):
            raise value
