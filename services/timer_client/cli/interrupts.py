"""Ctrl-C and SIGTERM: the command ends in its own way, and then dies of the signal.

A shell that runs a loop goes on after a program that exits with 130 by itself; it stops after one that SIGINT has
ended. Both show as 130.
"""

import contextlib
import signal
import sys
from types import FrameType
from typing import NoReturn

from timer_protocol import signal_death
from timer_protocol.standard_streams import OutputFailed

_PRESS_AGAIN_S = 0.01


class Terminated(KeyboardInterrupt):
    """SIGTERM. It ends the command wherever Ctrl-C would."""


class Interrupted(SystemExit):
    """The end of a command by a signal. Its exit code is what a shell shows for that signal."""

    def __init__(self, cause: BaseException | None) -> None:
        self.number = signal.SIGTERM if isinstance(cause, Terminated) else signal.SIGINT
        super().__init__(128 + self.number)


def take_signals() -> None:
    """Lets SIGINT raise `KeyboardInterrupt`, unless a shell has had it ignored, and SIGTERM end the command likewise.

    The first process of a container would otherwise ignore SIGTERM.
    """
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _on_sigterm)
    sys.unraisablehook = _on_unraisable


def die_of(number: int) -> NoReturn:
    """Ends the process by a signal, once the output is written."""
    for each in (signal.SIGINT, signal.SIGTERM):  # a second one ends it at once
        signal.signal(each, signal.SIG_DFL)
    with contextlib.suppress(OutputFailed):
        sys.stdout.flush()
    signal_death.die_of(number)


def _on_sigterm(_number: int, frame: FrameType | None) -> None:
    """Does what Ctrl-C would do at this moment, also where a shell has had SIGINT ignored.

    While asyncio runs, its own handler ends the task: an exception that comes from nowhere may be lost in a callback.
    """
    on_interrupt = signal.getsignal(signal.SIGINT)
    if not callable(on_interrupt) or on_interrupt is signal.default_int_handler:
        raise Terminated
    on_interrupt(signal.SIGINT, frame)


def _on_unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    """Sends the signal once more, in a moment, whose exception Python has dropped.

    It drops what is raised in a finalizer, and only prints a traceback.
    """
    dropped = unraisable.exc_type
    if not issubclass(dropped, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
        return
    number = signal.SIGTERM if issubclass(dropped, Terminated) else signal.SIGINT
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(number))
    signal.setitimer(signal.ITIMER_REAL, _PRESS_AGAIN_S)
