"""The tables, made and changed by numbered migrations.

A starting server makes what is missing and only ever adds, so that servers of the release before go on beside it. When
the tables change, put another migration behind the others. `OLDEST_RELEASE` rises only where releases before it could
not use the tables any more.
"""

from typing import NamedTuple

from timer_server.limits import LEASE_MS, SHARDS

OLDEST_RELEASE = "0.1.0"
"""The oldest release of the server that may use the tables as the last migration leaves them."""

FORMATS = (1,)
"""The forms of entries that this release can read and write, the newest last."""

FORMAT = FORMATS[-1]
"""The form in which the entries of a new store are written. Those of another store stay in theirs until
`timer-server upgrade`: servers of the release before read them too."""

CREATED_BY = "timer-server"
"""Tells the tables of this program from those of others."""

TABLES = ("timer_store", "timer_shard", "timer_block", "timer_server")

_FIRST = (
    """
    create table timer_store (
        one boolean primary key default true check (one),
        created_by text not null,
        schema integer not null,
        oldest_release text not null,
        format integer not null,
        shards integer not null,
        lease_ms integer not null
    )
    """,
    # Every commit writes the row of its shard: room in the page keeps the new version beside the old one.
    """
    create table timer_shard (
        number integer primary key,
        log_id text not null,
        epoch bigint not null default 0,
        owner uuid,
        last_place bigint not null default 0,
        state bytea not null,
        checksum bigint not null,
        tie_epoch bigint,
        tie_timeline_ns bigint,
        tie_clock_ns bigint
    ) with (fillfactor = 50)
    """,
    # A block of the usual size stays in its row, as it is: to compress it or to put it elsewhere would cost more.
    """
    create table timer_block (
        shard integer not null,
        last_place bigint not null,
        last_seq bigint not null,
        body bytea not null,
        checksum bigint not null,
        primary key (shard, last_place)
    ) with (toast_tuple_target = 8160)
    """,
    "alter table timer_block alter column body set storage external",
    "create index timer_block_by_seq on timer_block (shard, last_seq)",
    """
    create table timer_server (
        incarnation uuid primary key,
        joined bigint generated always as identity,
        name text not null,
        beat bigint not null default 0,
        dead boolean not null default false,
        clock_ns bigint not null default 0,
        formats integer[] not null default '{}',
        told bytea not null default ''
    )
    """,
)

MIGRATIONS = (_FIRST,)
"""The statements of each migration: the one at an index leads to the schema of the next higher number."""

NUMBER = len(MIGRATIONS)
"""The schema that this server knows."""


class Shape(NamedTuple):
    """What is fixed when a store is made, and the same for all servers of it."""

    shards: int = SHARDS
    lease_ms: int = LEASE_MS


def is_older(release: str, than: str) -> bool:
    """Whether a release such as 0.9.3 comes before another."""
    return _numbers(release) < _numbers(than)


def _numbers(release: str) -> list[int]:
    return [int(part) for part in release.split(".") if part.isdecimal()]
