"""Whether there are file descriptors enough for a connection.

ZeroMQ ends the whole process where the system has none left for its threads, and takes a connection that has none left
for a server that does not answer.
"""

import errno
import os

from timer_protocol.descriptors import count_left

LINK_DESCRIPTORS = 12
"""What a link takes at the most, with those of ZeroMQ's threads, which come with the first."""

SUBSCRIPTION_DESCRIPTORS = 4

WATCH_DESCRIPTORS = LINK_DESCRIPTORS + SUBSCRIPTION_DESCRIPTORS + 4
"""For a link, a subscription, and an event loop to wait for them."""


def check_descriptors(count: int) -> None:
    """Raises `OSError` where so many cannot be opened."""
    if count_left(count) < count:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
