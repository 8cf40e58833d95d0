"""The limit of descriptors: it is raised, and too low a one is told before anything starts.

libzmq ends the process, with no more than a line of its own, where there is no descriptor for what it opens itself.
"""

import resource

from timer_protocol.descriptors import count_left

NEEDED = 50
"""What has to be left for a start: thirty-two for the server itself, the rest for the first dozen of connections."""


def raise_limit() -> int:
    """Raises the limit of descriptors to the most that is allowed, and returns it. Each connection takes one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def shortage() -> str | None:
    """A sentence where fewer descriptors are left than are needed."""
    left = count_left(NEEDED)
    if left == NEEDED:
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (
        f"the limit of open files (ulimit -n) is {limit}, which leaves {left}, but {NEEDED} are needed, and one more"
        " for each client"
    )
