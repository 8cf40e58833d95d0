"""Requests that have been taken in and wait to be handled. libzmq keeps them without a limit (see `sockets`), and tells
nobody how many they are. So the memory of the process is watched while the loop never catches up with them.
"""

from pathlib import Path
from resource import getpagesize

from timer_server.limits import INTAKE_BYTES

_EVENT_BYTES = 4096
"""What an event may have added to memory by itself: a timer with a small payload, several times over."""

_STATM = Path("/proc/self/statm")


class Intake:
    """Whether what waits has grown too much since the loop last caught up. Linux only: elsewhere it never has."""

    def __init__(self, seq: int) -> None:
        self._caught_up = True
        self._base_bytes = _resident_bytes()
        self._base_seq = seq

    @property
    def has_caught_up(self) -> bool:
        """Whether the loop has been through with everything since that was last asked."""
        return self._caught_up

    def note(self, is_empty: bool) -> None:
        """Takes note, in each turn, of whether any request is left."""
        self._caught_up |= is_empty

    def is_too_much(self, seq: int) -> bool:
        """To be asked once a second, with the `seq` of the last event."""
        resident_bytes = _resident_bytes()
        if self._caught_up:
            self._caught_up = False
            self._base_bytes, self._base_seq = resident_bytes, seq
            return False
        return resident_bytes - self._base_bytes - (seq - self._base_seq) * _EVENT_BYTES > INTAKE_BYTES


def _resident_bytes() -> int:
    try:
        return int(_STATM.read_text().split()[1]) * getpagesize()
    except OSError:
        return 0
