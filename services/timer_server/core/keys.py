"""The keys of changes that a timer remembers, so that a repeated change has no second effect.

They are kept as digests of eight bytes, since each entry of the timer holds them: 64 keys of 128 characters would make
every entry some eight thousand bytes long.
"""

from hashlib import blake2b

from timer_server.limits import KEYS_REMEMBERED

_DIGEST_BYTES = 8
"""A new key is taken for one of 64 that are remembered once in some 10^17 changes."""


def digest_of(key: str) -> bytes:
    """What is remembered of a key."""
    return blake2b(key.encode(), digest_size=_DIGEST_BYTES).digest()


def knows(keys: bytes, digest: bytes) -> bool:
    """Whether a key is remembered."""
    found = keys.find(digest)
    while found % _DIGEST_BYTES and found > 0:  # across two digests
        found = keys.find(digest, found + 1)
    return found >= 0


def remembering(keys: bytes, digest: bytes | None) -> bytes:
    """The keys with one more, if there is one, and without the oldest where there are too many."""
    return keys if digest is None else (keys + digest)[-_DIGEST_BYTES * KEYS_REMEMBERED :]
