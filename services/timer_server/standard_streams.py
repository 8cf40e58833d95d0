"""What the command prints: on standard output, with a sentence where that fails, and sentences on standard error."""

import contextlib
import errno
import os
import select
import signal
import sys

from timer_protocol.signal_death import die_of
from timer_protocol.standard_streams import OutputFailed

EXIT_UNWRITTEN = 1

COMPLAINT_LIMIT_MS = 500
"""How long a sentence waits for room on standard error."""


def write(text: str) -> None:
    """Writes to standard output at once. Ends the command where that fails.

    A reader that has gone, as `head` does, ends it quietly by SIGPIPE.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OutputFailed as failed:
        if failed.errno == errno.EPIPE:
            die_of(signal.SIGPIPE)
        complain(f"timer-server: standard output cannot be written: {failed}")
        sys.exit(EXIT_UNWRITTEN)


def complain(sentence: str) -> None:
    """Writes a line to standard error, as far as that can be written. A reader that stalls is not waited for."""
    room = select.poll()
    room.register(2, select.POLLOUT)
    if room.poll(COMPLAINT_LIMIT_MS):
        with contextlib.suppress(OSError):
            os.write(2, f"{sentence}\n".encode(sys.stderr.encoding, "backslashreplace"))
