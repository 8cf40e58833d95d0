"""The end of a service manager, as systemd has one: a datagram socket, and what comes to it."""

import select
import socket

LIMIT_S = 10


class Ear:
    """Hears what a process tells at `place`, a path, or an abstract name after `@`."""

    def __init__(self, place: str) -> None:
        self.place = place
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(place.replace("@", "\0"))
        self._socket.settimeout(LIMIT_S)

    def hear(self) -> list[str]:
        """The lines of the next datagram."""
        return self._socket.recv(4096).decode().splitlines()

    def hear_until(self, line: str) -> list[str]:
        """The lines of the next datagram that has this line."""
        while line not in (lines := self.hear()):
            pass
        return lines

    @property
    def is_silent(self) -> bool:
        """Whether nothing has come."""
        return not self.hears_within(0)

    def hears_within(self, seconds: float) -> bool:
        """Whether something comes."""
        return bool(select.select([self._socket], [], [], seconds)[0])

    def close(self) -> None:
        self._socket.close()
