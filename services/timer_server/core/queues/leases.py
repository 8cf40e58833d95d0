"""Leases: the deliveries that somebody has now, and the takes that gave them, as far as their keys are remembered."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from heapq import heapify, heappop, heappush

from msgspec import Struct

from timer_server.core.queues.deliveries import Delivery

TAKES_REMEMBERED = 1_000
"""Keys of takes that a queue remembers."""

_LIVING_PASSED = 8
"""Most takes passed over that still lease something, when one has to be forgotten."""

_SLACK = 64


class Leases:
    """Leased deliveries by number, and by when they run out.

    Those that were leased or renewed together run out together, so they are kept as groups. One that ends leaves its
    number behind; where there are more than twice as many groups as leases, they are made anew.
    """

    def __init__(self) -> None:
        self._of: dict[int, Delivery] = {}
        self._groups: list[tuple[int, int, Sequence[int]]] = []
        self._group = 0

    def __len__(self) -> int:
        return len(self._of)

    def __iter__(self) -> Iterator[Delivery]:
        return iter(self._of.values())

    def get(self, number: int) -> Delivery | None:
        """The delivery that is leased under a number."""
        return self._of.get(number)

    def among(self, numbers: Iterable[int]) -> list[int]:
        """Those of some numbers that stand for leases."""
        of = self._of
        return [number for number in numbers if number in of]

    def at(self, numbers: Iterable[int]) -> list[Delivery]:
        """The deliveries that are leased under some numbers."""
        of = self._of
        return [of[number] for number in numbers if number in of]

    def load(self, deliveries: Iterable[Delivery]) -> None:
        """Adds many."""
        self._of.update({delivery.number: delivery for delivery in deliveries})
        self.regroup()

    def add(self, deliveries: Iterable[Delivery], until_ms: int, numbers: Sequence[int]) -> None:
        """Adds deliveries that run out together, and their numbers."""
        of = self._of
        for delivery in deliveries:
            of[delivery.number] = delivery
        self._group += 1
        heappush(self._groups, (until_ms, self._group, numbers))
        if len(self._groups) > 2 * len(of) + _SLACK:
            self.regroup()

    def take(self, number: int) -> Delivery | None:
        """Takes out the delivery that is leased under a number."""
        return self._of.pop(number, None)

    def next_due_ms(self) -> int | None:
        """When the next lease runs out; the moment may be that of one that has ended."""
        return self._groups[0][0] if self._groups else None

    def run_out(self, now_ms: int, most: int) -> list[int]:
        """The numbers of up to `most` leases that have run out. The caller takes them out."""
        found: list[int] = []
        of = self._of
        while self._groups and self._groups[0][0] <= now_ms and len(found) < most:
            until_ms, group, numbers = heappop(self._groups)
            room = most - len(found)
            if len(numbers) > room:
                heappush(self._groups, (until_ms, group, numbers[room:]))
            found += [n for n in numbers[:room] if n in of and of[n].at_ms == until_ms]
        return sorted(found)

    def regroup(self) -> None:
        """Makes the groups from the leases that there are."""
        groups: dict[int, list[int]] = {}
        for number, delivery in self._of.items():
            groups.setdefault(delivery.at_ms, []).append(number)
        self._groups = [(until_ms, group, numbers) for group, (until_ms, numbers) in enumerate(groups.items())]
        self._group = len(groups)
        heapify(self._groups)


class Take(Struct, frozen=True, gc=False, array_like=True):
    """A take with a key: the numbers of its leases rise from `first`."""

    first: int
    count: int
    until_ms: int

    def leased(self, leases: Leases) -> list[Delivery]:
        """Those of its deliveries that are still leased by it."""
        return leases.at(range(self.first, self.first + self.count))


class Takes:
    """Takes by key. One is remembered until its leases were to run out, and as long as it still leases something.

    Where there are too many, those that lease nothing any more go first: whoever made them has heard of it.
    """

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._of: OrderedDict[str, Take] = OrderedDict()

    def items(self) -> list[tuple[str, Take]]:
        """All that are remembered, the oldest first."""
        return list(self._of.items())

    def load(self, items: Iterable[tuple[str, Take]]) -> None:
        """Adds many."""
        self._of.update(items)

    def find(self, key: str, now_ms: int) -> list[Delivery] | None:
        """What a take with this key still leases; None if it is not remembered."""
        take = self._of.get(key)
        if take is None:
            return None
        leased = take.leased(self._leases)
        return leased if leased or now_ms < take.until_ms else None

    def remember(self, key: str, take: Take) -> None:
        """Adds a take."""
        self._of[key] = take
        self._of.move_to_end(key)
        passed = 0
        while len(self._of) > TAKES_REMEMBERED:
            oldest, candidate = next(iter(self._of.items()))
            if passed < _LIVING_PASSED and candidate.leased(self._leases):
                self._of.move_to_end(oldest)
                passed += 1
            else:
                del self._of[oldest]
