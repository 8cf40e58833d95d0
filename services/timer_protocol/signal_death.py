"""Ends a program by a signal, as its default handler does: without a word, and so that a shell ends its loop as well.

Loads next to nothing, since a program begins with it: before that, Ctrl-C shows a traceback.
"""

import _signal as signal  # type: ignore[import-not-found] # what `signal` is made of, without the wait for `enum`
import os

TYPE_CHECKING = False  # as type checkers know it, without the wait for `typing`
if TYPE_CHECKING:
    from types import FrameType
    from typing import Final, NoReturn

SIGINT: "Final[int]" = signal.SIGINT


def die_of_signals() -> None:
    """Lets SIGINT and SIGTERM end the process. Python would raise `KeyboardInterrupt` where nobody can catch it."""
    for number in (SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:  # a shell ignores SIGINT for its background jobs
            signal.signal(number, die_of)


def die_of(number: int, _frame: "FrameType | None" = None) -> "NoReturn":
    """Ends the process by the signal, or with its exit code where the kernel spares it (the first of a container)."""
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
    os._exit(128 + number)
