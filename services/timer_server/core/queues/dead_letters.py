"""Dead letters: ends that are delivered no more, in the order in which they died."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

from timer_server.core.queues.deliveries import Delivery

_SLACK = 64


class DeadLetters:
    """Dead letters by number, and in the order of their deaths. Each death has a number too, by which pages go on.

    One that leaves stays in the order until it is met there; where most of the order has left, it is made anew.
    """

    def __init__(self) -> None:
        self._of: dict[int, Delivery] = {}
        self._death_of: dict[int, int] = {}
        self._deaths: list[int] = []
        self._numbers: list[int] = []
        self._moments_ms: list[int] = []
        self._front = 0
        self.last_death = 0
        """The number of the last death that there was, which may be that of a letter long gone."""

    def __len__(self) -> int:
        return len(self._of)

    def __contains__(self, number: int) -> bool:
        return number in self._of

    def __iter__(self) -> Iterator[Delivery]:
        return iter(self._of.values())

    def items(self) -> list[tuple[int, Delivery]]:
        """The number of each death and its letter, in order."""
        order = zip(self._deaths, self._numbers, strict=True)
        return [(death, self._of[number]) for death, number in order if self._death_of.get(number) == death]

    def load(self, items: Iterable[tuple[int, Delivery]]) -> None:
        """Adds many, in order."""
        for death, letter in items:
            self.add(letter, death)

    def add(self, letter: Delivery, death: int) -> None:
        """Adds a letter that has died. The number of its death is higher than those before."""
        self._of[letter.number] = letter
        self._death_of[letter.number] = death
        self._deaths.append(death)
        self._numbers.append(letter.number)
        self._moments_ms.append(letter.at_ms)

    def take(self, number: int) -> Delivery | None:
        """Takes out a letter."""
        letter = self._of.pop(number, None)
        if letter is not None:
            del self._death_of[number]
            self._tidy()
        return letter

    def opened(self, number: int) -> Delivery | None:
        """The letter whose latest receipt has this number, if that may still settle it."""
        letter = self._of.get(number)
        return letter if letter is not None and letter.is_open else None

    def first(self) -> Delivery | None:
        """The letter that died first."""
        while self._front < len(self._numbers):
            if self._is_there(self._front):
                return self._of[self._numbers[self._front]]
            self._front += 1
        return None

    def page(self, after: int, most: int) -> list[tuple[int, Delivery]]:
        """Up to `most` letters that died after a death, each with the number of its own."""
        found: list[tuple[int, Delivery]] = []
        for at in range(bisect_right(self._deaths, after, lo=self._front), len(self._deaths)):
            if len(found) == most:
                break
            if self._is_there(at):
                found.append((self._deaths[at], self._of[self._numbers[at]]))
        return found

    def last_before(self, moment_ms: int) -> int:
        """The number of the last death before a moment; 0 where there was none."""
        at = bisect_left(self._moments_ms, moment_ms)
        return self._deaths[at - 1] if at else 0

    def _is_there(self, at: int) -> bool:
        return self._death_of.get(self._numbers[at]) == self._deaths[at]

    def _tidy(self) -> None:
        if len(self._deaths) > 2 * len(self._of) + _SLACK:
            there = [at for at in range(self._front, len(self._deaths)) if self._is_there(at)]
            self._deaths = [self._deaths[at] for at in there]
            self._numbers = [self._numbers[at] for at in there]
            self._moments_ms = [self._moments_ms[at] for at in there]
            self._front = 0
