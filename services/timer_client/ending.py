"""The two moments at which what a client holds is no longer its own: the end of the process, and a fork.

At the end of the process nothing is closed, as the system does it: threads of ZeroMQ's and of the program may have
stopped at any point by then, and modules are half gone. After a fork the child has copies of sockets whose threads are
not there; it lets go of them, and they stay the parent's.
"""

import atexit
import os
from typing import Final, Protocol
from weakref import WeakSet


class Inherited(Protocol):
    """What has to know that it is a copy in a forked process."""

    def after_fork(self) -> None:
        """Called in the child before anything else runs there, when there is one thread. Has to be quick."""


class Process:
    """This process. Whoever asks it keeps a reference: in the end, names of modules may be gone."""

    def __init__(self) -> None:
        self.is_ending = False
        self.heirs: Final[WeakSet[Inherited]] = WeakSet()
        """Those that are told of a fork."""

    def note_end(self) -> None:
        """From here on nothing is to be closed any more."""
        self.is_ending = True

    def note_fork(self) -> None:
        """Tells all heirs."""
        for heir in list(self.heirs):
            heir.after_fork()


PROCESS: Final = Process()

atexit.register(PROCESS.note_end)
if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=PROCESS.note_fork)
