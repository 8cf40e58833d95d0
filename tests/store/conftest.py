"""Opens every store in turn."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from store.stores import KINDS, Kind, OpenStore
from timer_server.store.base import Header, Store


@pytest.fixture(params=KINDS, ids=[kind.name for kind in KINDS])
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each kind of store."""
    found: Kind = request.param
    return found


@pytest.fixture
def reopen(kind: Kind, tmp_path: Path) -> Iterator[OpenStore]:
    """Closes the store, if it is open, and opens it again."""
    make = kind.make(tmp_path)
    opened: list[Store] = []

    def open_again() -> tuple[Store, Header]:
        if opened:
            opened.pop().close()
        opened.append(make())
        return opened[-1], opened[-1].open()

    yield open_again
    for store in opened:
        store.close()


@pytest.fixture
def store(reopen: OpenStore) -> Store:
    """A new store of each kind."""
    return reopen()[0]
