"""The keys of changes that a timer remembers, so that a repeated change has no second effect.

They are kept as digests of eight bytes, since each entry of the timer holds them: 64 keys of 128 characters would make
every entry some eight thousand bytes long.
"""

from hashlib import blake2b

from timer_server.limits import KEYS_REMEMBERED

_DIGEST_BYTES = 8
"""A new key is taken for one of 64 that are remembered once in some 10^17 changes."""


def knows(keys: bytes, key: str) -> bool:
    """Whether a key is remembered."""
    digest = _digest(key)
    found = keys.find(digest)
    while found % _DIGEST_BYTES and found > 0:  # across two digests
        found = keys.find(digest, found + 1)
    return found >= 0


def remembering(keys: bytes, key: str) -> bytes:
    """The keys with one more, and without the oldest where there are too many."""
    return (keys + _digest(key))[-_DIGEST_BYTES * KEYS_REMEMBERED :]


def _digest(key: str) -> bytes:
    return blake2b(key.encode(), digest_size=_DIGEST_BYTES).digest()
