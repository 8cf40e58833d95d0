"""Where timers are: the shard of a store that an id belongs to, and the shards that this server owns."""

from collections.abc import Callable, Iterable
from zlib import crc32

from timer_protocol.errors import ErrorCode, Refusal
from timer_server.core.plans.timers import PLAN_MARK
from timer_server.requests.parked import Parked
from timer_server.requests.shard import Shard

_TRIES = 20
"""Ids that are made for each shard of the store before none is thought to fit. Only one of 10^8 times that is wrong."""


def shard_number(timer_id: str, count: int) -> int:
    """The number of the shard, from 0, that a timer or a plan belongs to in a store of `count` shards.

    Only what stands before the first `~` counts, so a plan and its timers are in one shard.
    """
    return crc32(timer_id.partition(PLAN_MARK)[0].encode()) % count


class Shards:
    """The shards that this server owns, of the `count` that its store has. They may come and go while it runs.

    `only` is the shard of a store that has no other and is never lost; whoever is built on that need not look for the
    shard of each request.
    """

    only: Shard | None = None

    def __init__(self, owned: Iterable[Shard], count: int, parked: Parked) -> None:
        """`parked` are the requests that wait, the same for all shards: so their limits hold for all together."""
        self.count = count
        self.parked = parked
        self._by_number: dict[int, Shard] = {}
        self.owned: tuple[Shard, ...] = ()
        """In the order of their numbers. A change makes another tuple, so one may happen while somebody goes over it."""
        for shard in owned:
            self.add(shard)

    @classmethod
    def one(cls, shard: Shard) -> "Shards":
        """The one shard of a store that is this server's alone."""
        shards = cls([shard], 1, shard.parked)
        shards.only = shard
        return shards

    def of(self, timer_id: str) -> Shard:
        """The shard that a timer or a plan belongs to. Raises `Refusal` (shutting_down) where it is not owned."""
        number = shard_number(timer_id, self.count)
        shard = self._by_number.get(number)
        if shard is None:
            raise _not_owned(f"the shard of {timer_id!r}")
        return shard

    def all(self) -> tuple[Shard, ...]:
        """All shards of the store. Raises `Refusal` (shutting_down) where one is not owned."""
        if len(self.owned) < self.count:
            raise _not_owned(f"one of the {self.count} shards")
        return self.owned

    def new_id(self, make_id: Callable[[], str], prefix: str = "") -> str:
        """A new id that begins with a prefix, in a shard that is owned. Raises `Refusal` (shutting_down) for none."""
        for _ in range(_TRIES * self.count):
            timer_id = prefix + make_id()
            if len(self.owned) == self.count or shard_number(timer_id, self.count) in self._by_number:
                return timer_id
        raise _not_owned("the shard of a new id")

    def add(self, shard: Shard) -> None:
        """Takes up a shard that this server owns from now on."""
        self._by_number[shard.number] = shard
        self._sort()

    def remove(self, number: int) -> Shard:
        """Gives up a shard, and returns it."""
        shard = self._by_number.pop(number)
        self._sort()
        return shard

    def _sort(self) -> None:
        self.owned = tuple(self._by_number[number] for number in sorted(self._by_number))


def _not_owned(what: str) -> Refusal:
    return Refusal(ErrorCode.SHUTTING_DOWN, f"no server has {what} now; send the request again")
