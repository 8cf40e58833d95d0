"""Looks up the name of a host in a thread: a name service may take its time, and libpq would wait for it."""

import socket
import threading

from timer_server.store.postgres.sentences import Lost


class Lookup:
    """One lookup. `fileno` can be read once it is done; a thread that takes too long is left alone. Raises `Lost`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._found: list[str] = []
        self._fault = "it has no address"
        try:
            self._reader, self._writer = socket.socketpair()
        except OSError as error:
            raise Lost(f"the name cannot be looked up: {error.strerror}") from None
        try:
            threading.Thread(target=self._look_up, name="timer-server-lookup", daemon=True).start()
        except RuntimeError:  # as many as the system allows
            self._reader.close()
            self._writer.close()
            raise Lost("the name cannot be looked up: no thread is left for it") from None

    def fileno(self) -> int:
        """The descriptor to poll."""
        return self._reader.fileno()

    def addresses(self) -> list[str]:
        """What was found. Raises `Lost`."""
        if not self._found:
            raise Lost(f"the name cannot be looked up: {self._fault}")
        return self._found

    def close(self) -> None:
        """Closes the descriptor."""
        self._reader.close()

    def _look_up(self) -> None:
        with self._writer:  # its end tells the other side
            try:
                found = socket.getaddrinfo(self._name, None, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError) as error:
                self._fault = getattr(error, "strerror", None) or str(error)
            else:
                self._found = list(dict.fromkeys(str(address[0]) for *_, address in found))
