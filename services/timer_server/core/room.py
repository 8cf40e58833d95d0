"""Room for more bytes of the log on the disk."""

from timer_protocol.errors import Refusal, limit_reached

ENTRY_BYTES = 1_000
"""What an entry takes in the store at most, besides a large label and payload."""

_NO_LIMIT = float("inf")


class Room:
    """The room that is left: `left_bytes` may be added to the log besides what ends timers. A start looks at it by
    itself, without a call."""

    __slots__ = ("left_bytes",)

    def __init__(self) -> None:
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
