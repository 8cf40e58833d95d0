"""Where timers are: the shard of a store that an id belongs to, and the shards that this server owns."""

from collections.abc import Callable, Iterable, Sequence
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


class Elsewhere(Refusal):
    """A request is about shards that this server does not own: those with these numbers in the store.

    Where nobody sends it on to their owners, it is refused (shutting_down).
    """

    def __init__(self, what: str, numbers: Iterable[int]) -> None:
        super().__init__(ErrorCode.SHUTTING_DOWN, f"no server has {what} now; send the request again")
        self.numbers = frozenset(numbers)


def finder(shards: Sequence[Shard], count: int) -> Callable[[str], Shard]:
    """What finds, among some shards of a store that has `count`, the one of a timer or a plan there."""
    if len(shards) == 1:
        return lambda _: shards[0]
    by_number = {shard.number: shard for shard in shards}
    return lambda timer_id: by_number[shard_number(timer_id, count)]


class Shards:
    """The shards that this server owns, of the `count` that its store has. They may come and go while it runs.

    `only` is the shard of a store that has no other and is never lost; whoever is built on that need not look for the
    shard of each request.
    """

    only: Shard | None = None

    def __init__(self, owned: Iterable[Shard], count: int, parked: Parked, make_id: Callable[[int], str]) -> None:
        """`parked` are the requests that wait, the same for all shards: so their limits hold for all together.

        `make_id` makes an id for a new timer at a moment.
        """
        self.count = count
        self.parked = parked
        self._make_id = make_id
        self._by_number = {shard.number: shard for shard in owned}
        self.owned = self._in_order()
        """In the order of their numbers. A change makes another tuple, so somebody may go over one meanwhile."""

    def of(self, timer_id: str) -> Shard:
        """The shard that a timer or a plan belongs to. Raises `Elsewhere` where it is not owned."""
        number = shard_number(timer_id, self.count)
        shard = self._by_number.get(number)
        if shard is None:
            raise Elsewhere(f"the shard of {timer_id!r}", [number])
        return shard

    def all(self) -> tuple[Shard, ...]:
        """All shards of the store. Raises `Elsewhere` where one is not owned."""
        if len(self.owned) < self.count:
            raise Elsewhere(f"one of the {self.count} shards", set(range(self.count)) - self._by_number.keys())
        return self.owned

    @property
    def are_all_here(self) -> bool:
        """Whether all shards of the store are owned."""
        return len(self.owned) == self.count

    def is_here(self, timer_id: str) -> bool:
        """Whether the shard that a timer, a plan or a queue belongs to is owned."""
        return shard_number(timer_id, self.count) in self._by_number

    def any(self) -> Shard:
        """Some shard, for what is the same in all. Raises `Elsewhere` where none is owned."""
        if not self.owned:
            raise Elsewhere("a shard", range(self.count))
        return self.owned[0]

    def has(self, number: int) -> bool:
        """Whether the shard of a number is owned."""
        return number in self._by_number

    def numbered(self, number: int) -> Shard | None:
        """The shard of a number; None where it is not owned."""
        return self._by_number.get(number)

    def new_id(self, now_ms: int, prefix: str = "") -> str:
        """A new id that begins with a prefix, in a shard that is owned where there is one."""
        for _ in range(_TRIES * self.count):
            timer_id = prefix + self._make_id(now_ms)
            if len(self.owned) in (0, self.count) or shard_number(timer_id, self.count) in self._by_number:
                break
        return timer_id

    def serve_takes(self, now_ns: int) -> None:
        """Serves takes that wait for what has become ready in any shard: a part of this turn. Raises `StoreError`."""
        for shard in self.owned:
            self.parked.wake_takes(shard.queues.take_woken())
        self.parked.serve_woken_takes(now_ns)

    def add(self, shard: Shard) -> None:
        """Takes up a shard that this server owns from now on, restored from its log just now."""
        self._by_number[shard.number] = shard
        self.owned = self._in_order()

    def remove(self, number: int) -> Shard:
        """Gives up a shard, and returns it. Its timers take no places of this server any more."""
        shard = self._by_number.pop(number)
        shard.engine.leave()
        self.owned = self._in_order()
        return shard

    def _in_order(self) -> tuple[Shard, ...]:
        return tuple(self._by_number[number] for number in sorted(self._by_number))


class OneShard(Shards):
    """The only shard of a store that is this server's alone. It is never lost."""

    def __init__(self, shard: Shard, make_id: Callable[[int], str]) -> None:
        super().__init__([shard], 1, shard.parked, make_id)
        self.only = self._shard = shard

    def of(self, _: str) -> Shard:
        return self._shard
