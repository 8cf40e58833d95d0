"""For programs of the benchmark that stand for other machines: what they need must be missing to nobody on this one."""

import os


def take_what_is_left() -> None:
    """Has this process have a processor only while no other program wants it."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
