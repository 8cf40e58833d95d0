"""Settings of the process, made before it serves: its allocator and its limit of descriptors."""

import ctypes
import resource

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


def raise_descriptor_limit() -> int:
    """Raises the limit of descriptors to the most that is allowed, and returns it. Each connection takes one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
