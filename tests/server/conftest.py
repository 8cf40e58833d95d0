"""A server with encryption on, and keys for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from keys import KeyRing
from local_server import LocalServer


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    """A server's keys, a client without bounds and one that is bound to `shop/`."""
    keys = KeyRing(tmp_path)
    keys.add("admin")
    keys.add("shop", "shop/")
    return keys


@pytest.fixture
def locked(ring: KeyRing) -> Iterator[LocalServer]:
    """A server that speaks CURVE only."""
    with LocalServer(curve=ring.files) as server:
        yield server
