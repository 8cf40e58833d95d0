"""Room for more: places of pending timers, and bytes of the log on the disk."""

from collections.abc import Mapping

from timer_protocol.errors import Refusal, limit_reached
from timer_protocol.limits import Limits
from timer_protocol.plurals import counted
from timer_server.core.ledger import Ledger
from timer_server.core.plans.registry import Registry

ENTRY_BYTES = 1_000
"""What an entry takes in the store at most, besides a large label and payload."""

NONE_BEGUN: Mapping[str, int] = {}

_NO_LIMIT = float("inf")


class Room:
    """The room that is left. A plan that waits for no timer keeps a place for its next one.

    `left_bytes` may be added to the log besides what ends timers. A start looks at it by itself, without a call.
    """

    __slots__ = ("_ledger", "_limits", "_plans", "left_bytes")

    def __init__(self, limits: Limits, ledger: Ledger, plans: Registry) -> None:
        self._limits = limits
        self._ledger = ledger
        self._plans = plans
        self.left_bytes = _NO_LIMIT

    def limit_growth(self, left_bytes: int | None) -> None:
        """From now on no more than so many bytes are added, but for what ends timers; None is no limit."""
        self.left_bytes = _NO_LIMIT if left_bytes is None else left_bytes

    def take_bytes(self, size: int) -> None:
        """Counts what is added to the log. Raises `Refusal` (limit_reached) where the disk is nearly full."""
        if size > self.left_bytes:
            raise self.no_bytes(size)
        self.left_bytes -= size

    def no_bytes(self, size: int) -> Refusal:
        """The refusal of what would add more to the log than the disk has room for."""
        left_bytes = int(self.left_bytes)
        what = (
            f"the server's disk is nearly full: disk_bytes, what is left for starts and changes, is {left_bytes},"
            f" and this may take {size}; ends and cancellations go on, and retention makes room"
        )
        return limit_reached("disk_bytes", left_bytes, what, later=True)

    def has_place(self) -> bool:
        """Whether one more timer may be pending, beside the places that plans keep."""
        return self._ledger.pending_count() + self._plans.without_pending < self._limits.max_timers

    def check_place(self, timer_id: str, begun: Mapping[str, int] = NONE_BEGUN) -> None:
        """Raises `Refusal` (limit_reached) unless one more timer may be pending, also below the prefixes with a share.

        `begun` are those to be counted as pending besides, by prefix; all of them stand under "".
        """
        ledger = self._ledger
        if ledger.shares is not None:
            ledger.shares.check(timer_id, begun)
        pending = ledger.pending_count() + (begun[""] if begun else 0)
        if pending + self._plans.without_pending >= self._limits.max_timers:
            raise self._no_place(pending)

    def _no_place(self, pending: int) -> Refusal:
        kept = self._plans.without_pending
        beside = f", {counted(kept, 'place is kept', 'places are kept')} for plans," if kept else ""
        what = f"{counted(pending, 'timer is', 'timers are')} pending{beside} and max_timers allows no more"
        return limit_reached("max_timers", self._limits.max_timers, what, later=True)
