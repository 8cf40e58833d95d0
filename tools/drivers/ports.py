"""TCP ports of the loopback address that stay somebody's own while nobody listens on them.

A port that the system picked and that was let go again may be picked for another program before it is bound. These
are of numbers that the system picks none from, unless it is set to pick from all, and no two processes are given the
same.
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
_USUALLY_PICKED_FROM = 32_768
_FEWEST = 1_024


class Ports:
    """A few ports in a row, until this object is gone or the process has ended."""

    def __init__(self, among: range | None = None) -> None:
        """`among` are all it may be, by default those below what the system picks. Raises `OSError` if none is free."""
        numbers = among or _not_picked()
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


def _not_picked() -> range:
    """The numbers below those that the system picks from, or usually does where these are too few."""
    first_picked = _USUALLY_PICKED_FROM
    with suppress(OSError):
        first_picked = int(_PICKED_FROM.read_text().split()[0])
    return range(_FIRST, first_picked if first_picked >= _FIRST + _FEWEST else _USUALLY_PICKED_FROM)
