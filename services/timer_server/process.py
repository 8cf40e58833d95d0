"""What the process asks of the operating system before it serves: its allocator and its descriptors."""

import ctypes
import resource

_M_MMAP_THRESHOLD = -3

LARGE_BYTES = 262_144
"""Larger than almost every message, so that only few pay for the system calls."""


def give_large_blocks_back() -> None:
    """Fixes the size from which blocks of memory are taken from the system, and given back to it (mallopt(3)).

    Left to itself, glibc takes ever larger blocks from its own heap once some have been freed. The lists of a million
    timers that grow there leave holes behind, some eight bytes for each timer, and large messages that are long gone
    stay. Only glibc has such a setting; elsewhere nothing happens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)


def raise_descriptor_limit() -> int:
    """Lets this process have as many descriptors as it may give itself, and returns how many that are.

    Each connection takes one.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
