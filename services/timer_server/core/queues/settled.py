"""Receipts whose leases an ack or a nack has ended, so that one that comes again gets the same answer."""

from collections.abc import Iterator, Sequence

GENERATION_RECEIPTS = 20_000
GENERATIONS = 6
"""All full but the newest: at least 100,000 receipts are remembered."""


class SettledReceipts:
    """The latest settled receipts of a log, by queue, each with whether it was an ack.

    They are forgotten a generation at a time. Generations are numbered, and entries of the log name theirs, so that it
    does not matter in which order they are read after a restart.
    """

    def __init__(self) -> None:
        self._of: dict[int, dict[str, dict[int, bool]]] = {}
        self._newest = 0
        self._count = 0
        """Receipts in the newest generation."""

    @property
    def generation(self) -> int:
        """Where the next receipts belong."""
        return self._newest + (self._count >= GENERATION_RECEIPTS)

    def remember(self, queue: str, numbers: Sequence[int], is_ack: bool, generation: int) -> None:
        """Adds receipts to a generation."""
        if generation > self._newest:
            self._newest, self._count = generation, 0
            for old in [number for number in self._of if number <= generation - GENERATIONS]:
                del self._of[old]
        if generation <= self._newest - GENERATIONS:
            return
        receipts = self._of.setdefault(generation, {}).setdefault(queue, {})
        before = len(receipts)
        receipts.update(dict.fromkeys(numbers, is_ack))
        if generation == self._newest:
            self._count += len(receipts) - before

    def is_known(self, queue: str, number: int, is_ack: bool) -> bool:
        """Whether a lease was ended by an ack, or by a nack."""
        return any(queues[queue].get(number) is is_ack for queues in self._of.values() if queue in queues)

    def frozen(self, queue: str) -> Iterator[tuple[int, dict[int, bool]]]:
        """The receipts of a queue by generation, as they are now. Only those of the newest are still added to."""
        for number, queues in self._of.items():
            if queue in queues:
                yield number, dict(queues[queue]) if number == self._newest else queues[queue]

    def forget(self, queue: str) -> None:
        """Forgets the receipts of a queue."""
        for queues in self._of.values():
            queues.pop(queue, None)
