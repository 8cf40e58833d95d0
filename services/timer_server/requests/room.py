"""Limits of one reply: bytes of payloads, and entries looked at for pages."""

from timer_protocol.errors import limit_reached
from timer_server.limits import REPLY_BYTES, REPLY_ENTRIES

ENTRY_WEIGHT = 10
"""A returned entry costs as much as ten that are only looked at: it is read whole, and encoded."""


class ReplyRoom:
    """The room that is left in one reply."""

    __slots__ = ("left_bytes", "left_entries")

    def __init__(self) -> None:
        self.left_bytes = REPLY_BYTES
        self.left_entries = REPLY_ENTRIES

    def take_page(self, scanned: int, returned: int) -> None:
        """Counts the entries of a page: those looked at, and those among them that it returns."""
        self.left_entries -= scanned + (ENTRY_WEIGHT - 1) * returned

    @property
    def is_left(self) -> bool:
        """Whether there is room for anything."""
        return self.left_bytes >= 0 and self.left_entries > 0

    def check(self) -> None:
        """Raises `Refusal` (limit_reached) where there is no room left."""
        if self.left_bytes < 0:
            raise limit_reached("reply_bytes", REPLY_BYTES, "the rest of the batch needs a message of its own")
        if self.left_entries <= 0:
            raise limit_reached("reply_entries", REPLY_ENTRIES, "the rest of the batch needs a message of its own")
