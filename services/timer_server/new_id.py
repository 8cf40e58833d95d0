"""Ids that the server makes where a request has none."""

import secrets

from timer_protocol.ids import ENTROPY_BITS, uuid7


def new_id(now_ms: int) -> str:
    """An id that nobody has, and that sorts by the time it was made."""
    return uuid7(now_ms, secrets.randbits(ENTROPY_BITS))
