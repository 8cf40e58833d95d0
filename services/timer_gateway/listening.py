"""The sockets on which the gateway answers HTTP."""

import os
import socket

BACKLOG = 2048
"""Connections that wait to be accepted."""

_EVERY_INTERFACE = "*"


class BindError(Exception):
    """An address cannot be bound. The text is a sentence for the operator."""


def listen(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen at all addresses of a host, at the same port. Raises `BindError`."""
    sockets: list[socket.socket] = []
    try:
        for family, *_, address in socket.getaddrinfo(
            None if host == _EVERY_INTERFACE else host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            place = (address[0], sockets[0].getsockname()[1] if sockets else port)  # 0 is chosen once
            if family in (socket.AF_INET, socket.AF_INET6):
                sockets.append(socket.create_server(place, family=family, backlog=BACKLOG))
                # Accepted sockets have this from here: asyncio sets it only on those that it has made itself. Without
                # it what is written waits until the peer, 40 ms later, has acknowledged what was written before.
                sockets[-1].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        for each in sockets:
            each.close()
        # The fault of a name has a number of its own, below zero.
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise BindError(f"cannot listen at {host}:{port} (TIMER_GATEWAY_BIND): {why}") from None
    return sockets


def url_of(listening: socket.socket, *, is_encrypted: bool) -> str:
    """How a browser on this machine reaches it."""
    host, port = listening.getsockname()[:2]
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"{'https' if is_encrypted else 'http'}://{name}:{port}"
