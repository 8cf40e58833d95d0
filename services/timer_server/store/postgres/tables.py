"""Makes the tables where there are none, adds what is missing, and refuses those that this server may not use."""

from collections.abc import Callable
from typing import NamedTuple

from psycopg.pq.abc import PGconn

from timer_protocol import __version__
from timer_protocol.plurals import counted
from timer_server.store.integrity import Damage
from timer_server.store.postgres.arrays import bytea_array, int4, int4_array, int8_array, text_array
from timer_server.store.postgres.exchange import Steps, asking
from timer_server.store.postgres.schema import (
    CREATED_BY,
    FORMAT,
    FORMATS,
    MIGRATIONS,
    NUMBER,
    OLDEST_RELEASE,
    TABLES,
    Shape,
    is_older,
)
from timer_server.store.postgres.sentences import Lost, Unfit, unreadable
from timer_server.store.postgres.statements import (
    ADD_SHARDS,
    ADD_STORE,
    BEGIN,
    COLUMNS,
    END,
    LOCK_STORE,
    SET_SCHEMA,
    SHARDS_COUNT,
    STORE,
    TABLES_FOUND,
    Statement,
)
from timer_server.store.state import LogState, state_to_row

_HOLDS_NOTHING = "it holds no timers"

STORE_COLUMNS = ("created_by", "schema", "oldest_release", "format", "shards", "lease_ms")


class _Store(NamedTuple):
    """What of the row of `timer_store` decides how the tables are used."""

    schema: int
    shape: Shape


def preparing_tables(
    connection: PGconn, shape: Shape | None, new_log_id: Callable[[], str]
) -> Steps[tuple[Shape, bool]]:
    """Makes the tables of a new store of this shape, or adds what is missing in those of an older server.

    Returns the shape that the store has, and whether it is new. Raises `Unfit` where the tables are of another program
    or of a newer server, and where there are none and no shape for them, `Damage` where they are not whole, `Lost` and
    `Failed`. Where it raises, the connection has to be closed, which undoes what was begun.
    """
    store = yield from _found(connection)
    if store is not None and store.schema >= NUMBER:
        return store.shape, False
    if store is None and shape is None:
        raise Unfit(_HOLDS_NOTHING)
    for statement in (BEGIN, LOCK_STORE):
        yield from asking(connection, statement)
    store = yield from _found(connection)  # another server may have been quicker
    for migration in MIGRATIONS[0 if store is None else store.schema :]:
        for text in migration:
            yield from asking(connection, Statement("", text))
    if store is None and shape is not None:
        yield from _fill(connection, shape, new_log_id)
    elif store is not None and store.schema < NUMBER:
        yield from asking(connection, SET_SCHEMA, [int4(NUMBER), OLDEST_RELEASE.encode()])
    if not (yield from asking(connection, END)).is_confirmed:
        raise Lost("the wait for the standby was cancelled")
    return (store.shape, False) if store is not None else (shape or Shape(), True)


def finding_tables(connection: PGconn) -> Steps[None]:
    """Makes sure that the tables are there, and as this release leaves them. Raises as `preparing_tables` does."""
    store = yield from _found(connection)
    if store is None:
        raise Unfit(_HOLDS_NOTHING)
    if store.schema < NUMBER:
        raise Unfit(
            f"its tables are those of an older release (schema {store.schema}); start a server of this one first,"
            f" which adds what is missing (schema {NUMBER})"
        )


def _fill(connection: PGconn, shape: Shape, new_log_id: Callable[[], str]) -> Steps[None]:
    """Writes what a new store is, and an empty log for each of its shards."""
    store = [CREATED_BY.encode(), int4(NUMBER), OLDEST_RELEASE.encode(), *map(int4, (FORMAT, *shape))]
    yield from asking(connection, ADD_STORE, store)
    ids = [new_log_id() for _ in range(shape.shards)]
    rows = [state_to_row(LogState(log_id)) for log_id in ids]
    numbers, bodies, checksums = range(shape.shards), [body for body, _ in rows], [checksum for _, checksum in rows]
    shards = [int4_array(numbers), text_array(ids), bytea_array(bodies), int8_array(checksums)]
    yield from asking(connection, ADD_SHARDS, shards)


def _found(connection: PGconn) -> Steps[_Store | None]:
    """The store whose tables are there; None where there are none."""
    tables = {row[0].decode() for row in (yield from asking(connection, TABLES_FOUND, [text_array(TABLES)])).rows}
    if not tables:
        return None
    columns = {row[0].decode() for row in (yield from asking(connection, COLUMNS)).rows}
    if not columns.issuperset(STORE_COLUMNS):
        raise _of_another_program(min(tables))
    rows = (yield from asking(connection, STORE)).rows
    if not rows:
        raise Damage("its table timer_store is empty")
    created_by, oldest_release = (rows[0][index].decode() for index in (0, 2))
    schema, entry_format, shards, lease_ms = (int.from_bytes(rows[0][index], "big") for index in (1, 3, 4, 5))
    if created_by != CREATED_BY:
        raise _of_another_program("timer_store")
    if is_older(__version__, oldest_release):
        raise Unfit(
            f"its tables (schema {schema}) are for timer-server {oldest_release} or newer, this is {__version__}; run"
            " that version, or name another database in TIMER_STORE"
        )
    if entry_format not in FORMATS:
        raise unreadable(entry_format, FORMATS)
    if tables != set(TABLES) and schema == NUMBER:
        raise Damage(f"it has no table {min(set(TABLES) - tables)}")
    ((count,),) = (yield from asking(connection, SHARDS_COUNT)).rows
    if (found := int.from_bytes(count, "big")) != shards:
        raise Damage(f"it has {counted(found, 'shard')}, and should have {shards}")
    return _Store(schema, Shape(shards, lease_ms))


def _of_another_program(table: str) -> Unfit:
    return Unfit(f"its table {table} is of another program; name another database in TIMER_STORE")
