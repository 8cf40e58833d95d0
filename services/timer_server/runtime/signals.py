"""A wish to stop, as something the loop can poll: a signal handler alone would not wake it."""

import signal
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

_STOPPING = (signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """Whether the server is to stop. `fileno` becomes readable when somebody wishes it."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._is_made = False

    @property
    def is_made(self) -> bool:
        """Whether the server was told to stop."""
        return self._is_made

    def fileno(self) -> int:
        """The descriptor to poll for reading."""
        return self._reader.fileno()

    def wakeup_fileno(self) -> int:
        """A descriptor that makes `fileno` readable when it is written to."""
        return self._writer.fileno()

    def make(self) -> None:
        """Tells the server to stop; from any thread."""
        self._is_made = True
        self._writer.send(b"\0")

    def close(self) -> None:
        """Gives the descriptors back."""
        self._reader.close()
        self._writer.close()


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """A stop request that SIGTERM and SIGINT make. For the main thread only."""
    with closing(StopRequest()) as stop:
        old_handlers = {number: signal.signal(number, lambda *_: stop.make()) for number in _STOPPING}
        # Python runs a handler only between two steps of its own; this wakes a `poll` that was about to begin.
        old_wakeup = signal.set_wakeup_fd(stop.wakeup_fileno(), warn_on_full_buffer=False)
        try:
            yield stop
        finally:
            signal.set_wakeup_fd(old_wakeup)
            for number, handler in old_handlers.items():
                signal.signal(number, handler)
