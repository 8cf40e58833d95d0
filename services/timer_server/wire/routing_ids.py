"""The routing ids that a ROUTER gives to its peers.

They count up from a number that libzmq takes from the C library's `rand`. A peer may claim any routing id: that of
another peer, and gets its replies; or the one that is given next, and libzmq ends the process. Without a seed the first
number is always the same, and the next one can be guessed.
"""

import ctypes
import secrets


def begin_anywhere() -> None:
    """Seeds `rand`, so that ROUTERs made from now on count from a number that cannot be guessed."""
    ctypes.CDLL(None).srand(secrets.randbits(32))
