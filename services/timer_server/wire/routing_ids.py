"""The routing ids that a ROUTER gives to its peers.

They count up from a number that libzmq takes from the C library's `rand`. A peer may claim any routing id: that of
another peer, and gets its replies; or the one that is given next, and libzmq ends the process. Without a seed the first
number is always the same, and the next one can be guessed.
"""

import ctypes
import secrets

_MADE = b"\0"
"""The first byte of those that a ROUTER makes."""


def is_chosen(routing_id: bytes) -> bool:
    """Whether a peer has named itself. It could take the name of another, and so get the replies to that one."""
    return routing_id[:1] != _MADE


def begin_anywhere() -> None:
    """Seeds `rand`, so that ROUTERs made from now on count from a number that cannot be guessed."""
    ctypes.CDLL(None).srand(secrets.randbits(32))
