"""The operator's signals as a descriptor that the loop can poll: a signal handler alone would not wake it."""

import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from types import FrameType

from timer_protocol.service_manager import ServiceManager


class OperatorSignals:
    """Requests to stop, and to read the keys again. `fileno` becomes readable with each."""

    def __init__(self, manager: ServiceManager | None = None) -> None:
        self.manager = manager or ServiceManager()
        """Who makes them in the operator's place, and is told how the server stands."""
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._reload = False
        self.stop_is_wanted = False
        """Whether `stop` was called."""
        self.is_interrupted = False
        """Whether Ctrl-C was what first called it."""

    def fileno(self) -> int:
        """The descriptor to poll for reading."""
        return self._reader.fileno()

    def wakeup_fileno(self) -> int:
        """The descriptor to write to so that `fileno` becomes readable."""
        return self._writer.fileno()

    def stop(self) -> None:
        """Tells the server to stop; from any thread."""
        self.stop_is_wanted = True
        self._wake()

    def interrupt(self) -> None:
        """Tells the server to stop, and remembers that Ctrl-C did."""
        self.is_interrupted |= not self.stop_is_wanted
        self.stop()

    def reload(self) -> None:
        """Tells the server to read its keys again; from any thread."""
        self._reload = True
        self._wake()

    def take_reload(self) -> bool:
        """Whether `reload` was called since this was last asked. Makes `fileno` unreadable."""
        with contextlib.suppress(BlockingIOError):
            while self._reader.recv(64):
                pass
        if not self._reload:
            return False
        self._reload = False
        return True

    def close(self) -> None:
        """Closes the descriptors."""
        self._reader.close()
        self._writer.close()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # full: the loop is awake already
            self._writer.send(b"\0")


@contextmanager
def operator_signals(manager: ServiceManager) -> Iterator[OperatorSignals]:
    """SIGTERM and SIGINT stop the server, SIGHUP has it read its keys again. For the main thread only."""
    with closing(OperatorSignals(manager)) as signals:
        handlers = {signal.SIGTERM: signals.stop, signal.SIGINT: signals.interrupt, signal.SIGHUP: signals.reload}
        old_handlers = {number: signal.signal(number, _calling(tell)) for number, tell in handlers.items()}
        # Python runs a handler only between two of its own steps; this wakes a `poll` that was about to begin.
        old_wakeup = signal.set_wakeup_fd(signals.wakeup_fileno(), warn_on_full_buffer=False)
        try:
            yield signals
        finally:
            signal.set_wakeup_fd(old_wakeup)
            for number, handler in old_handlers.items():
                signal.signal(number, handler)


def _calling(tell: Callable[[], None]) -> Callable[[int, FrameType | None], None]:
    return lambda _number, _frame: tell()
