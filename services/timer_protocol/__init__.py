"""What server and clients share: messages, errors, limits and frames. No socket and no clock."""

__version__ = "0.1.0"

PROTOCOL = "timer/1"
"""Name and major version of the protocol, as `server.info` tells it. A change that breaks clients raises it."""
