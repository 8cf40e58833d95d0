"""The C library's allocator, told to take large blocks from the system and to give them back (mallopt(3)).

Left to itself, glibc takes ever larger blocks from its own heap once some have been freed. The lists of a million
timers that grow there leave holes behind, some eight bytes for each timer, and large messages that are long gone stay.
"""

import ctypes

_M_MMAP_THRESHOLD = -3

LARGE_BYTES = 262_144
"""Larger than almost every message, so that only few pay for the system calls."""


def give_large_blocks_back() -> None:
    """Fixes the size from which blocks are the system's. Only glibc has such a setting; elsewhere nothing happens."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
