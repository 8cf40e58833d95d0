"""The receipts of a request, by the shards whose leases they name."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from timer_protocol.limits import LOG_ID_CHARACTERS
from timer_server.core.queues.receipts import Receipts
from timer_server.requests.shard import Shard

Outcome = tuple[list[str], list[str]]
"""Receipts that were found, and the others, each once, in the order in which they were asked for."""


class Part(NamedTuple):
    """The receipts that go to one shard, and their numbers; None for one of an earlier log, or of none."""

    shard: Shard
    receipts: Sequence[str]
    numbers: Sequence[int | None]

    def known(self) -> list[int]:
        """The numbers of leases of the shard."""
        return [number for number in self.numbers if number is not None]

    def parted(self, found: Sequence[int]) -> Outcome:
        """The receipts by whether their numbers were found. A number is found no more than once."""
        if len(found) == len(self.receipts):
            return list(self.receipts), []
        done = set(found)
        number_of = dict(zip(self.receipts, self.numbers, strict=True))
        return (
            [receipt for receipt, number in number_of.items() if number in done],
            [receipt for receipt, number in number_of.items() if number not in done],
        )


def by_shard(shards: Sequence[Shard], home: Shard, queue: str, receipts: Sequence[str]) -> list[Part]:
    """Receipts of a queue by shard. Raises `Refusal` (invalid_params) for other texts, before anything is applied.

    One that names no log of these, or one that has yet to hear of the queue, goes to the queue's home: it is lost.
    """
    if len(shards) == 1:
        return [_part(home, queue, receipts)]
    of_log = {shard.log.id: shard for shard in shards if shard.queues.standing(queue) is not None}
    found: dict[Shard, list[str]] = {}
    for receipt in receipts:
        found.setdefault(of_log.get(receipt[:LOG_ID_CHARACTERS], home), []).append(receipt)
    return [_part(shard, queue, some) for shard, some in found.items()]


def outcome(receipts: Sequence[str], parts: Sequence[Part], found: Callable[[Part], Sequence[int]]) -> Outcome:
    """What becomes of receipts: `found` does to each part what was asked, and returns the numbers of those done."""
    if len(parts) == 1:
        return parts[0].parted(found(parts[0]))
    return joined(receipts, [part.parted(found(part))[0] for part in parts])


def joined(receipts: Sequence[str], found: Sequence[Sequence[str]]) -> Outcome:
    """What becomes of receipts, of which several have found some each."""
    done = {receipt for some in found for receipt in some}
    return (
        [receipt for receipt in dict.fromkeys(receipts) if receipt in done],
        [receipt for receipt in dict.fromkeys(receipts) if receipt not in done],
    )


def _part(shard: Shard, queue: str, receipts: Sequence[str]) -> Part:
    return Part(shard, receipts, Receipts(shard.log.id, queue).numbers(receipts))
