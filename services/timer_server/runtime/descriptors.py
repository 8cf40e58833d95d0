"""How many connections there may be: each takes a file descriptor."""

import resource


def raise_descriptor_limit() -> int:
    """Lets this process have as many descriptors as it may give itself, and returns how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
