"""Begins the command `timer-server`. Ctrl-C is dealt with before anything else is loaded, so it shows no traceback."""

import os
import signal
import sys
from types import FrameType


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    from timer_server.command import run  # noqa: PLC0415 - what it loads takes a while

    return run(arguments)


def _end(number: int, _frame: FrameType | None) -> None:
    """Ends the process by the signal itself, which tells its parent why it has ended."""
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
    os._exit(128 + number)  # the first process of a container does not die of a signal


if __name__ == "__main__":
    sys.exit(main())
