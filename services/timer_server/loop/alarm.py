"""An alarm that wakes the loop at a deadline: `poll` alone sleeps whole milliseconds, a timerfd (Linux) is exact."""

import ctypes
import os
from collections.abc import Mapping

import zmq

from timer_protocol.durations import NS_PER_MS
from timer_server.loop.clock import BOOT_CLOCK

_NS_PER_S = 1_000_000_000


class _Setting(ctypes.Structure):
    """`struct itimerspec` (timerfd_create(2)), for an alarm that goes off once after a time."""

    _fields_ = (
        ("every_s", ctypes.c_long),
        ("every_ns", ctypes.c_long),
        ("wait_s", ctypes.c_long),
        ("wait_ns", ctypes.c_long),
    )


class Alarm:
    """Goes off at a deadline, by the machine's own clock; the loop reads the time again when it wakes up.

    Where there is no timerfd, only the timeout that `set` returns wakes the loop.
    """

    def __init__(self) -> None:
        # Python itself has timerfd only from 3.13 on.
        self._libc = ctypes.CDLL(None)
        self._descriptor = -1
        if hasattr(self._libc, "timerfd_create"):
            self._descriptor = self._libc.timerfd_create(BOOT_CLOCK, os.O_CLOEXEC)
        self._set_for_ns: int | None = None

    def register(self, poller: zmq.Poller) -> None:
        """Has a poller wait for the alarm."""
        if self._descriptor >= 0:
            poller.register(self._descriptor, zmq.POLLIN)

    def set(self, due_ns: int, now_ns: int) -> int:
        """Sets the alarm and returns the timeout for `poll`, which is later than the deadline by up to 1 ms.

        The timeout wakes the loop where its time passes otherwise than on the machine's clock.
        """
        if due_ns <= now_ns:
            return 0
        if due_ns != self._set_for_ns and self._descriptor >= 0:
            wait_s, wait_ns = divmod(due_ns - now_ns, _NS_PER_S)
            self._libc.timerfd_settime(self._descriptor, 0, ctypes.byref(_Setting(0, 0, wait_s, wait_ns)), None)
            self._set_for_ns = due_ns
        return -((now_ns - due_ns) // NS_PER_MS)

    def is_all_of(self, ready: Mapping[object, int]) -> bool:
        """Whether only the alarm or the timeout woke the poller. An alarm that went off has to be set again."""
        if self._descriptor not in ready:
            return not ready
        self._set_for_ns = None
        return len(ready) == 1

    def close(self) -> None:
        """Closes the descriptor."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
