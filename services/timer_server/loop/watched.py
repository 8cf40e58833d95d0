"""Sockets that a poller waits for, of something whose sockets come and go."""

import select
from collections.abc import Iterable

import zmq

from timer_server.store.postgres.line import Line


class Watched:
    """The sockets that some pollers wait for now, and for what."""

    def __init__(self) -> None:
        self._pollers: list[zmq.Poller] = []
        self._flags: dict[int, int] = {}

    def register(self, poller: zmq.Poller) -> None:
        """Has one more poller wait for them, whatever they are."""
        self._pollers.append(poller)
        for watched in self._flags.items():
            poller.register(*watched)

    def follow(self, lines: Iterable[Line], idle: int | None = None) -> None:
        """Has the pollers wait for what some lines wait for, and else until the socket `idle` can be read."""
        flags: dict[int, int] = {} if idle is None else {idle: zmq.POLLIN}
        for line in lines:
            if (wait := line.wait) is not None:
                flags[wait.socket] = _FLAGS[wait.events]
        if flags == self._flags:
            return
        for poller in self._pollers:
            for socket in self._flags.keys() - flags.keys():
                poller.unregister(socket)
            for watched in flags.items():
                poller.register(*watched)
        self._flags = flags


_FLAGS = {
    select.POLLIN: zmq.POLLIN,
    select.POLLOUT: zmq.POLLOUT,
    select.POLLIN | select.POLLOUT: zmq.POLLIN | zmq.POLLOUT,
}
"""What `zmq.Poller` calls the events of `select.poll`."""
