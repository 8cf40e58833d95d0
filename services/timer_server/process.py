"""The setting of the process's allocator, made before it serves."""

import ctypes

_M_MMAP_THRESHOLD = -3

LARGE_BYTES = 262_144
"""Larger than almost every message, so that few of them need system calls."""


def give_large_blocks_back() -> None:
    """Fixes the size from which blocks of memory are taken from the system, and given back to it (mallopt(3)).

    By itself, glibc takes ever larger blocks from its own heap once some have been freed. Lists that grow there leave
    holes of some eight bytes for each timer, and the memory of large messages is never given back. Only glibc has this
    setting; elsewhere nothing happens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
