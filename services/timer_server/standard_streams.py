"""The standard streams of the command: open, able to show any text, with a sentence where writing fails."""

import contextlib
import io
import os
import select
import signal
import sys

EXIT_UNWRITTEN = 1

COMPLAINT_LIMIT_MS = 500
"""How long a sentence waits for room on standard error."""

_STREAMS = ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w"))


def prepare() -> None:
    """Opens /dev/null for streams that are closed, and lets standard output escape what it cannot encode.

    The next file or socket would take the number of a closed stream, and get what is meant for that.
    """
    for number, name, mode in _STREAMS:
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def write(text: str) -> None:
    """Writes to standard output at once. Ends the command where that fails.

    A reader that has gone, as `head` does, ends it quietly by SIGPIPE.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.raise_signal(signal.SIGPIPE)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python would try once more as it ends
        complain(f"timer-server: standard output cannot be written: {error.strerror}")
        sys.exit(EXIT_UNWRITTEN)


def complain(sentence: str) -> None:
    """Writes a line to standard error, as far as that can be written. A reader that stalls is not waited for."""
    room = select.poll()
    room.register(2, select.POLLOUT)
    if room.poll(COMPLAINT_LIMIT_MS):
        with contextlib.suppress(OSError):
            os.write(2, f"{sentence}\n".encode(sys.stderr.encoding, "backslashreplace"))
