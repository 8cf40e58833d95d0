"""PostgreSQL for tests: one cluster for all tests of a process that do not harm it, and shards that nobody has used."""

from collections.abc import Callable
from functools import cache
from uuid import uuid4

import pytest

from drivers.builders import LOG_ID
from drivers.postgres import Cluster, is_required, postgres_fault
from timer_server.limits import SHARDS_MOST
from timer_server.store.postgres.database import Database
from timer_server.store.postgres.recent import RecentBlocks
from timer_server.store.postgres.schema import Shape
from timer_server.store.postgres.store import PostgresStore
from timer_server.store.postgres.url import parse


def require_postgres() -> None:
    """Skips the test where there is no PostgreSQL, unless one is required."""
    fault = postgres_fault()
    if fault is not None and is_required():
        pytest.fail(f"REQUIRE_POSTGRES=1, but no cluster can be had ({fault})", pytrace=False)
    if fault is not None:
        pytest.skip(f"no PostgreSQL cluster can be had ({fault})")


@cache
def shared_cluster() -> Cluster:
    """The cluster of this process, without standbys. It ends with the tests."""
    require_postgres()
    return Cluster()


def close_shared_cluster() -> None:
    """Ends the cluster of this process, if it has one."""
    if shared_cluster.cache_info().currsize:
        shared_cluster().close()


def new_place(name: str, cluster: Cluster | None = None) -> str:
    """Makes an empty schema in a cluster, the shared one unless another is given, and returns a URL for which it is the
    database: it costs less."""
    return (cluster or shared_cluster()).new_place(name)


class FreshShards:
    """The shards of one store. Each is used once: an empty log costs no tables."""

    def __init__(self) -> None:
        self.database = Database(parse(new_place("shards")), "none")
        self._next = SHARDS_MOST

    def make(self) -> Callable[[], PostgresStore]:
        """What makes the store of a shard, the same one each time."""
        if self._next == SHARDS_MOST:
            new_place("shards")
            self.database.open(Shape(SHARDS_MOST), lambda: LOG_ID)
            self._next = 0
        number, self._next = self._next, self._next + 1
        return lambda: PostgresStore(self.database, number, uuid4(), RecentBlocks())


@cache
def fresh_shards() -> FreshShards:
    """Those of this process."""
    return FreshShards()
