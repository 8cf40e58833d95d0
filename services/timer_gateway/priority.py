"""The gateway's priority among the programs of its machine: who waits for a page waits longer than a timer may."""

import contextlib
import os
from typing import Final

NICE: Final = 10
"""A tenth of the weight that others have who want the same processor."""


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
