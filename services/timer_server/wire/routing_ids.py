"""The routing ids that a ROUTER gives to its peers.

They count up from a number that libzmq takes from the C library's `rand`. A peer may claim any routing id for itself:
one that another has, and gets its replies; or the one that is given next, and libzmq ends the process. Not seeded, the
first number is always the same, and everybody knows where the count stands.
"""

import ctypes
import secrets


def begin_anywhere() -> None:
    """Makes ROUTERs that are made from now on begin to count where nobody can tell."""
    ctypes.CDLL(None).srand(secrets.randbits(32))
