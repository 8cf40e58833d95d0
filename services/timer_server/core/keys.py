"""The keys of changes that a timer remembers, so that a change which comes again has no second effect.

They stand in each of the timer's entries, so they are kept as digests of eight bytes: 64 keys of 128 characters each
would make every entry some eight thousand bytes long.
"""

from hashlib import blake2b

from timer_server.limits import KEYS_REMEMBERED

_DIGEST_BYTES = 8
"""A new key is taken for one of those that are remembered once in 10^17 times."""


def knows(keys: bytes, key: str) -> bool:
    """Whether a key is among those that are remembered."""
    digest = _digest(key)
    found = keys.find(digest)
    while found % _DIGEST_BYTES and found > 0:  # across the border of two others
        found = keys.find(digest, found + 1)
    return found >= 0


def remembering(keys: bytes, key: str) -> bytes:
    """The keys with one more; the oldest is forgotten where there are too many."""
    return (keys + _digest(key))[-_DIGEST_BYTES * KEYS_REMEMBERED :]


def _digest(key: str) -> bytes:
    return blake2b(key.encode(), digest_size=_DIGEST_BYTES).digest()
