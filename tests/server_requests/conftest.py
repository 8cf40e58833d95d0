"""A desk for those who need no other; and three servers: `a` owns shard 0, `b` shard 1, and nobody owns shard 2."""

import pytest

from drivers.desk import Desk
from drivers.several_servers import Server, SharedStore


@pytest.fixture
def desk() -> Desk:
    """A desk with one timer of a minute, stored."""
    desk = Desk()
    desk.start("a")
    desk.end_turn()
    return desk


@pytest.fixture
def store() -> SharedStore:
    store = SharedStore(3)
    for incarnation in ("a", "b", "c"):
        store.start(incarnation)
    store.give(0, "a")
    store.give(1, "b")
    store.follow()
    return store


@pytest.fixture
def a(store: SharedStore) -> Server:
    return store.servers["a"]


@pytest.fixture
def b(store: SharedStore) -> Server:
    return store.servers["b"]


@pytest.fixture
def c(store: SharedStore) -> Server:
    return store.servers["c"]


@pytest.fixture
def theirs(store: SharedStore) -> str:
    """An id of a shard of `b`."""
    return store.name_in(1)


@pytest.fixture
def nobodys(store: SharedStore) -> str:
    """An id of the shard that nobody owns."""
    return store.name_in(2)
