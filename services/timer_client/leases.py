"""When the leases of a worker are to be renewed. No socket and no clock."""

from collections.abc import Iterable
from typing import Final

from timer_protocol.durations import MS_PER_SECOND
from timer_protocol.queue_messages import RECEIPTS_MAXIMUM

UNKNOWN_LEASE_MS: Final = 30_000
"""What is asked for where this client's key may not read how long the queue leases."""


class Leases:
    """The receipts whose leases are kept up, each with the moment at which it is to be renewed.

    A lease is renewed after a third of its time, so that two renewals may fail. Where its time is not known, it is
    renewed at once, for a time that is known.
    """

    def __init__(self, lease_ms: int | None) -> None:
        self._first_after_s = 0.0 if lease_ms is None else lease_ms / MS_PER_SECOND / 3
        self.asked_ms: Final = UNKNOWN_LEASE_MS if lease_ms is None else None
        """What a renewal asks for; None for the queue's own time."""
        self._again_after_s = (UNKNOWN_LEASE_MS if lease_ms is None else lease_ms) / MS_PER_SECOND / 3
        self._due_s: dict[str, float] = {}

    def __contains__(self, receipt: object) -> bool:
        return receipt in self._due_s

    @property
    def next_due_s(self) -> float | None:
        """When the next renewal is due; None where there is nothing to renew."""
        return min(self._due_s.values(), default=None)

    def begin(self, receipts: Iterable[str], now_s: float) -> None:
        """Notes leases that have begun."""
        self._due_s |= dict.fromkeys(receipts, now_s + self._first_after_s)

    def renewed(self, receipts: Iterable[str], now_s: float) -> None:
        """Notes leases that were renewed, or whose renewal is to be tried again later."""
        due_s = now_s + self._again_after_s
        self._due_s |= {receipt: due_s for receipt in receipts if receipt in self._due_s}

    def end(self, receipt: str) -> None:
        """Forgets a lease."""
        self._due_s.pop(receipt, None)

    def due(self, now_s: float) -> list[str]:
        """The receipts to renew in one call: those that are due, and those that soon will be."""
        until_s = now_s + self._again_after_s / 2
        return [receipt for receipt, due_s in self._due_s.items() if due_s <= until_s][:RECEIPTS_MAXIMUM]
