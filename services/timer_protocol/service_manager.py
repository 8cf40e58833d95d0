"""Tells the service manager that has started this process how it stands: systemd's protocol (sd_notify(3)).

One datagram says some things, a line each. Where no manager listens, nothing is said. Where it cannot be told, that is
logged once, and the process goes on.
"""

import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager

EXTENSION_S = 60
"""How much longer a start may take after each sign of progress."""

_US_PER_S = 1_000_000
_NS_PER_US = 1_000
_PROGRESS_INTERVAL_S = 1
_STATUS_INTERVAL_NS = 15 * 1_000_000_000
"""How often the status is told where no watchdog waits for it."""

_PATIENCE_S = 1
"""How long a manager that is behind may take the process up when it tells something that is said only once."""


class ServiceManager:
    """A manager at the address `place`, of which nothing is told where that is empty.

    `watchdog_us` is how long it waits for a sign of life, 0 for ever. `complain` is given the reason why it cannot be
    told, once.
    """

    def __init__(
        self, place: str = "", watchdog_us: int = 0, complain: Callable[[str], object] = lambda _reason: None
    ) -> None:
        self._place = b"\0" + os.fsencode(place[1:]) if place.startswith("@") else place
        self._complain = complain
        # Kept open: where descriptors have run out, there would be none for a sign of life.
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if place else None
        self._is_stopping = self._is_at_fault = False
        self._next_progress_s = 0.0
        self.interval_ns = watchdog_us * _NS_PER_US // 2 or _STATUS_INTERVAL_NS
        """How often `alive` is to be called."""

    @property
    def listens(self) -> bool:
        """Whether there is somebody to tell."""
        return self._socket is not None

    def opening(self, status: str) -> None:
        """Tells that the process starts and gets on, so that it is given more time. Repeated within a second, it is
        not sent."""
        if self._socket is not None and (now_s := time.perf_counter()) >= self._next_progress_s:
            self._next_progress_s = now_s + _PROGRESS_INTERVAL_S
            self._send(f"EXTEND_TIMEOUT_USEC={EXTENSION_S * _US_PER_S}", f"STATUS={status}")

    def ready(self, status: str) -> None:
        """Tells that the process serves."""
        self._send("READY=1", f"STATUS={status}", patience_s=_PATIENCE_S)

    def alive(self, status: str) -> None:
        """Gives a sign of life. One who is asked to stop keeps the status that says so."""
        self._send("WATCHDOG=1", *([] if self._is_stopping else [f"STATUS={status}"]))

    def stopping(self) -> None:
        """Tells that the process ends."""
        self._is_stopping = True
        self._send("STOPPING=1", "STATUS=stopping", patience_s=_PATIENCE_S)

    def close(self) -> None:
        """Closes the socket."""
        if self._socket is not None:
            self._socket.close()

    def _send(self, *lines: str, patience_s: float = 0) -> None:
        if self._socket is None:
            return
        try:
            self._socket.settimeout(patience_s)
            self._socket.sendto("\n".join(lines).encode(), self._place)
        except OSError as error:
            if not self._is_at_fault:
                self._complain(error.strerror or str(error))
            self._is_at_fault = True


@contextmanager
def service_manager(environment: Mapping[str, str], complain: Callable[[str], object]) -> Iterator[ServiceManager]:
    """The manager that the environment names: NOTIFY_SOCKET, WATCHDOG_USEC and, where only one process is meant,
    WATCHDOG_PID."""
    watchdog_us = environment.get("WATCHDOG_USEC", "")
    is_meant = environment.get("WATCHDOG_PID", "") in {"", str(os.getpid())}
    waits_us = int(watchdog_us) if is_meant and watchdog_us.isascii() and watchdog_us.isdigit() else 0
    with closing(ServiceManager(environment.get("NOTIFY_SOCKET", ""), waits_us, complain)) as manager:
        yield manager
