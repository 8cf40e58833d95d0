"""Begins and ends the command `timer`, by that name and as `python -m timer_client`.

Ctrl-C is dealt with before anything else is loaded, and when all is done, so that it never shows a traceback.
"""

import _signal as signal  # type: ignore[import-not-found] # what `signal` is made of, without the wait for `enum`
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn


def main() -> None:
    """Runs the command, and ends the process with its exit code."""
    _end_at_once()
    from timer_client import cli  # noqa: PLC0415 - what it loads takes a while

    try:
        cli.main()
    except KeyboardInterrupt:  # in a moment in which the command has no ear for it
        _end(signal.SIGINT)
    finally:
        _end_at_once()


def _end_at_once() -> None:
    """Lets signals end the process without a word. Python would raise `KeyboardInterrupt` where nobody can catch it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:  # a shell ignores SIGINT for its background jobs
            signal.signal(number, _end)


def _end(number: int, _frame: "FrameType | None" = None) -> "NoReturn":
    """Ends the process by the signal itself, so that a shell ends its loop or script as well."""
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
    os._exit(128 + number)  # the first process of a container does not die of a signal of its own


if __name__ == "__main__":
    main()
