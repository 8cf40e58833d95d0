"""The requests that libzmq has received and the loop has not handled yet.

libzmq keeps them without a limit (see `wire.commands`) and cannot tell how many there are. So the memory of the process
is watched for as long as the loop does not catch up with them.
"""

import os
from functools import cache
from resource import getpagesize

from timer_server.limits import INTAKE_BYTES

_EVENT_BYTES = 4096
"""Memory that an event may have added by itself: a timer with a small payload, several times over."""


class Intake:
    """Tells whether too many requests have come in since the loop last caught up. Only on Linux; elsewhere never."""

    def __init__(self, seq: int) -> None:
        self._caught_up = True
        self._base_bytes = _resident_bytes()
        self._base_seq = seq

    @property
    def has_caught_up(self) -> bool:
        """Whether the loop has seen the queue empty since the last call of `is_too_much`."""
        return self._caught_up

    def note(self, is_empty: bool) -> None:
        """Notes in each turn whether the queue is empty."""
        self._caught_up |= is_empty

    def is_too_much(self, seq: int) -> bool:
        """Whether connections have to be cut. Asked once a second, with the number of events so far."""
        resident_bytes = _resident_bytes()
        if self._caught_up:
            self._caught_up = False
            self._base_bytes, self._base_seq = resident_bytes, seq
            return False
        return resident_bytes - self._base_bytes - (seq - self._base_seq) * _EVENT_BYTES > INTAKE_BYTES


def _resident_bytes() -> int:
    statm = _statm()
    return 0 if statm is None else int(os.pread(statm, 100, 0).split()[1]) * getpagesize()


@cache
def _statm() -> int | None:
    """The file that tells the memory. It stays open, as connections may take all other descriptors."""
    try:
        return os.open("/proc/self/statm", os.O_RDONLY)
    except OSError:
        return None
