"""The gateway's priority among the programs of its machine: who waits for a page waits longer than a timer may."""

import contextlib
import ctypes
import os
import platform
import struct
from typing import Final

NICE: Final = 10
"""A tenth of the weight that others have who want the same processor."""

SLICE_NS: Final = 100_000
"""For how long at a time it has a processor that others want: the least that Linux grants, from 6.12 on. With the usual
slice whoever is woken up may wait for 1.4 ms and more."""

_ATTRIBUTES = struct.Struct("=IIQiIQQQ")
"""`struct sched_attr` of Linux: its size, the policy, flags, the nice value, a static priority, then the slice, which
it calls run time, a deadline and a period."""

_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274, "riscv64": 274}
"""The number of the system call, for which there is no function in Python, nor in glibc before 2.41."""


def give_way() -> None:
    """Has the process give way, with all threads that it begins from now on, to a server on the same machine.

    A priority that is set already is kept. Where no other program wants its processor it has all of it, as before.
    """
    if os.getpriority(os.PRIO_PROCESS, 0) != 0:
        return
    with contextlib.suppress(OSError):  # a sandbox may refuse it
        os.nice(NICE)
        if hasattr(os, "SCHED_BATCH"):  # on Linux; so that it interrupts nobody when it is woken up
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
            _take_short_slices()


def _take_short_slices() -> None:
    number = _SCHED_SETATTR.get(platform.machine())
    if number is not None:  # its result does not matter: a sandbox may refuse it, and kernels before 6.12 take no slice
        attributes = _ATTRIBUTES.pack(_ATTRIBUTES.size, os.SCHED_BATCH, 0, NICE, 0, SLICE_NS, 0, 0)
        ctypes.CDLL(None).syscall(number, 0, attributes, 0)
