"""Signatures of Standard Webhooks 1.0: HMAC-SHA256 over id, timestamp and body (`v1`)."""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence

SECRET_PREFIX = "whsec_"  # noqa: S105 - what a secret begins with
SECRET_BYTES = 32
"""How long a secret is that is made here."""

_LEAST_BYTES, _MOST_BYTES = 24, 64
"""How long the specification lets a secret be."""


def new_secret() -> str:
    """A random secret, as the specification writes it."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """The key in a secret. Raises `ValueError`, whose text does not tell the secret."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(SECRET_PREFIX) or not _LEAST_BYTES <= len(key) <= _MOST_BYTES:
        raise ValueError(f"must be {SECRET_PREFIX} and {_LEAST_BYTES} to {_MOST_BYTES} bytes in base64")
    return key


def signed_headers(webhook_id: str, body: bytes, keys: Sequence[bytes], at_s: int) -> list[tuple[bytes, bytes]]:
    """The headers of an attempt made at a Unix time, with a signature for each key."""
    assert re.fullmatch(r"[A-Za-z0-9_-]+", webhook_id), "a full stop in it would let one message pass for another"
    content = b"%s.%d.%s" % (webhook_id.encode(), at_s, body)
    signatures = [b"v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256)) for key in keys]
    return [
        (b"webhook-id", webhook_id.encode()),
        (b"webhook-timestamp", str(at_s).encode()),
        (b"webhook-signature", b" ".join(signatures)),
    ]
