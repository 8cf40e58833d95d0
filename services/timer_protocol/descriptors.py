"""Counts the descriptors that are left: libzmq ends the process where it finds none for the threads of a context."""

import os


def count_left(most: int) -> int:
    """How many descriptors can be opened, counted up to `most`, by taking them for a trial."""
    taken: list[int] = []
    try:
        taken.append(os.open(os.devnull, os.O_RDONLY))
        while len(taken) < most:
            taken.append(os.dup(taken[0]))
    except OSError:
        pass
    finally:
        for descriptor in taken:
            os.close(descriptor)
    return len(taken)
