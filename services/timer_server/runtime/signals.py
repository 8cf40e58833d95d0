"""SIGTERM and SIGINT as something the loop can poll: a handler alone would not wake it."""

import signal
import socket
from types import TracebackType

_STOPPING = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """While entered, a stopping signal makes `fileno` readable and `stop_wanted` true. Main thread only."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._stop = False

    def __enter__(self) -> "Signals":
        self._old_wakeup = signal.set_wakeup_fd(self._writer.fileno())
        self._old_handlers = {number: signal.signal(number, self._note) for number in _STOPPING}
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_wakeup)
        self._reader.close()
        self._writer.close()

    def fileno(self) -> int:
        """Readable as soon as a signal has come."""
        return self._reader.fileno()

    def stop_wanted(self) -> bool:
        """Whether the server was told to stop."""
        return self._stop

    def stop(self) -> None:
        """Tells the server to stop, from any thread."""
        self._stop = True
        self._writer.send(b"\0")

    def _note(self, *_: object) -> None:
        self._stop = True
