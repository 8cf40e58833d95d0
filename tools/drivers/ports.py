"""TCP ports of the loopback address that stay somebody's own while nobody listens on them.

A port that the system picked and that was let go again may be picked for another program before it is bound. These
are of the numbers that the system picks none from, and no two processes are given the same.
"""

import os
import random
import socket
import weakref
from contextlib import closing, suppress
from pathlib import Path

_BLOCK = 8
_FIRST = 10_240
_PICKED_FROM = Path("/proc/sys/net/ipv4/ip_local_port_range")
_USUAL_PICKED_FROM = "32768 60999"


class Ports:
    """A few ports in a row, until this object is gone or the process has ended."""

    def __init__(self, among: range | None = None) -> None:
        """`among` are all it may be, by default those below what the system picks. Raises `OSError` if none is free."""
        numbers = among or range(_FIRST, _first_picked())
        blocks = [numbers[at : at + _BLOCK] for at in range(0, len(numbers), _BLOCK)]
        random.shuffle(blocks)
        for block in blocks:
            if (claim := _claim(block)) is not None:
                weakref.finalize(self, os.close, claim)
                self._numbers = iter(block)
                return
        raise OSError(f"all ports from {numbers[0]} to {numbers[-1]} are taken")

    def next(self) -> int:
        """One that was not given yet. Raises `StopIteration` once all were."""
        return next(self._numbers)


def _claim(block: range) -> int | None:
    """A descriptor that keeps others from a block while it is open; None where somebody has the block or one of it."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as name:
        try:
            name.bind(f"\0timer ports from {block[0]}")  # a name of the network namespace, as ports are
            for port in block:
                socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            return None
        return name.detach()


def _first_picked() -> int:
    """The lowest number that the system picks from."""
    told = _USUAL_PICKED_FROM
    with suppress(OSError):
        told = _PICKED_FROM.read_text()
    return int(told.split()[0])
