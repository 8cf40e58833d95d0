"""Ctrl-C and SIGTERM: the command ends in its own way, and then dies of the signal.

A shell that runs a loop goes on after a program that exits with 130 by itself; it stops after one that SIGINT has
ended. Both show as 130.
"""

import contextlib
import signal
import sys
from types import FrameType
from typing import NoReturn


class Terminated(KeyboardInterrupt):
    """SIGTERM. It ends the command wherever Ctrl-C would."""


class Interrupted(SystemExit):
    """The end of a command by a signal. Its exit code is what a shell shows for that signal."""

    def __init__(self, cause: KeyboardInterrupt) -> None:
        self.number = signal.SIGTERM if isinstance(cause, Terminated) else signal.SIGINT
        super().__init__(128 + self.number)


def take_sigterm() -> None:
    """Lets SIGTERM end the command as Ctrl-C does: the first process of a container would otherwise ignore it."""
    signal.signal(signal.SIGTERM, _on_sigterm)


def die(interrupted: Interrupted) -> NoReturn:
    """Ends the process by the signal, or with its exit code where the kernel spares it (the first of a container)."""
    for number in (signal.SIGINT, signal.SIGTERM):  # a second one ends it at once
        signal.signal(number, signal.SIG_DFL)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or never there
            stream.flush()
    signal.raise_signal(interrupted.number)
    raise interrupted


def _on_sigterm(_number: int, frame: FrameType | None) -> None:
    """Does what Ctrl-C would do at this moment, also where a shell has had SIGINT ignored.

    While asyncio runs, its own handler ends the task: an exception that comes from nowhere may be lost in a callback.
    """
    on_interrupt = signal.getsignal(signal.SIGINT)
    if not callable(on_interrupt) or on_interrupt is signal.default_int_handler:
        raise Terminated
    on_interrupt(signal.SIGINT, frame)
