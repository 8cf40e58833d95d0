"""Takes away from this process, for a block, what a program may have to do without: rights and descriptors."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def nobody() -> Iterator[None]:
    """This process may do no more than others."""
    uid = os.geteuid()
    if uid == 0:
        os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(uid)


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Nothing more can be opened."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    os.close(lowest_free := os.open(os.devnull, os.O_RDONLY))
    # Not less: poll() wants as many allowed as it is to look at, and libzmq ends the process where it fails.
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
