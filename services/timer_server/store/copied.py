"""What is asked of a store so that a copy of it can be made while it is in use."""

from typing import Protocol

from timer_server.store.blocks import Row
from timer_server.store.state import HeaderRow


class CopyLost(Exception):
    """A copy cannot be made to its end. The store itself is as ever. The text is a sentence for the operator."""


class Copied(Protocol):
    """A store that can be copied, one copy at a time: the log as it is at the commit at which the copy begins."""

    @property
    def is_short_of_room(self) -> bool:
        """Whether the disk is nearly full, by the last look after the files."""

    def begin_copy(self) -> HeaderRow:
        """Begins a copy, and returns the row of the header that goes with it."""

    def copy_on(self, most_bytes: int) -> list[Row]:
        """The next blocks of the copy, about so many bytes; none once all were read.

        Raises `StoreError` and `CopyLost`.
        """

    def end_copy(self) -> None:
        """Ends the copy, wherever it is."""
