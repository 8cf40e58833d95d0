"""`timer-server upgrade` on a real PostgreSQL: the format is raised once all servers read it."""

from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

import msgspec
import psycopg
import pytest
from psycopg.pq.abc import PGconn

from drivers.builders import LOG_ID
from postgres_store import new_place, shared_cluster
from timer_server import upgrade as upgrade_module
from timer_server.store.base import StoreError
from timer_server.store.membership import Told
from timer_server.store.postgres import membership, tables
from timer_server.store.postgres.database import Database
from timer_server.store.postgres.exchange import Steps
from timer_server.store.postgres.schema import FORMAT, NUMBER, Shape
from timer_server.store.postgres.url import parse
from timer_server.upgrade import Upgrade, upgrade

NEWER = (FORMAT, FORMAT + 1)
"""What a release could read in which the entries have a new format."""


@pytest.fixture
def url() -> str:
    """An empty place in a database."""
    return new_place("upgraded")


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """A new store, in which entries are written in the first format."""
    with closing(Database(parse(url), "none")) as database:
        database.open(Shape(2), lambda: LOG_ID)
        yield database


def join(url: str, name: str, *formats: int, release: str = "") -> None:
    """Adds a server, as it does itself."""
    told = msgspec.msgpack.encode(Told(release=release))
    statement = "insert into timer_server (incarnation, name, formats, told) values (%s, %s, %s, %s)"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement, (uuid4(), name, list(formats), told))


def execute(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        rows = connection.execute(statement)
        return rows.fetchall() if rows.description else []


def upgraded(url: str, *, is_dry_run: bool = False, formats: tuple[int, ...] = NEWER) -> Upgrade:
    with closing(Database(parse(url), "none")) as database:
        return upgrade(database, is_dry_run=is_dry_run, formats=formats)


def test_a_dry_run_shows_who_is_behind_and_the_format_is_raised_once_nobody_is(url: str, database: Database) -> None:
    place = f"postgresql://timers@{shared_cluster().primary.address}/timers"
    join(url, "a", FORMAT, FORMAT + 1, release="1.1.0")
    join(url, "b", FORMAT, release="1.0.0")
    behind = f"these servers cannot read format {FORMAT + 1}: b; bring them to this release first"
    servers = [f"server a (1.1.0) reads {FORMAT}, {FORMAT + 1}", f"server b (1.0.0) reads {FORMAT}"]
    written = f"{place}: entries are written in format {FORMAT}"

    assert upgraded(url, is_dry_run=True) == ([written, *servers], behind)
    assert upgraded(url) == ([], behind)
    assert execute(url, "select format from timer_store") == [(FORMAT,)]

    execute(url, "update timer_server set dead = true where name = 'b'")
    may = f"format {FORMAT + 1} can be read by 1 server"
    assert upgraded(url, is_dry_run=True) == ([written, servers[0], may], None)
    assert execute(url, "select format from timer_store") == [(FORMAT,)]
    raised = f"{place}: entries are written in format {FORMAT + 1}"
    assert upgraded(url) == ([f"raised {raised}"], None)
    assert execute(url, "select format from timer_store") == [(FORMAT + 1,)]


def test_one_who_joins_just_then_is_told_of(url: str, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(connection: PGconn, wanted: int) -> Steps[bool]:
        join(url, "late", FORMAT)
        return (yield from membership.raising_format(connection, wanted))

    monkeypatch.setattr(upgrade_module, "raising_format", raising)

    assert upgraded(url) == (
        [],
        f"these servers cannot read format {FORMAT + 1}: late; bring them to this release first",
    )
    assert execute(url, "select format from timer_store") == [(FORMAT,)]


def test_a_release_without_a_newer_format_leaves_all_as_it_is(url: str, database: Database) -> None:
    (line,), fault = upgraded(url, formats=(FORMAT,))

    assert fault is None
    assert line.startswith("kept postgresql://")
    assert line.endswith(f": entries are written in format {FORMAT}")


def test_there_has_to_be_a_store(url: str) -> None:
    with pytest.raises(StoreError, match=r"^cannot open .*: it holds no timers$"):
        upgraded(url)


def test_a_server_of_the_release_has_to_be_first(url: str, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the command, and a dry run of it above all, changes no tables."""
    monkeypatch.setattr(tables, "NUMBER", NUMBER + 1)
    with pytest.raises(StoreError, match=rf"those of an older release \(schema {NUMBER}\); start a server of this one"):
        upgraded(url, is_dry_run=True)
