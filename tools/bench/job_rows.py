"""What libraries of jobs in PostgreSQL do to add some: a row each, in a table with their indexes.

River and Oban both keep a job in a row with its arguments and metadata as jsonb, and index state, queue, priority and
time together, the kind or worker, and both jsonb columns. They add many with one INSERT from arrays, or by COPY. The
statements here are of our own making and do the same work. Parameters are made before anything is timed.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from psycopg import pq

from bench.generator import undisturbed
from bench.start_requests import PAYLOAD
from drivers.postgres import OWNER, Node

TABLES = """
    create type job_state as enum ('scheduled', 'available', 'running', 'retryable', 'completed', 'discarded');
    create table job (
        id bigserial primary key,
        state job_state not null,
        attempt smallint not null default 0,
        max_attempts smallint not null,
        attempted_at timestamptz,
        created_at timestamptz not null default now(),
        finalized_at timestamptz,
        scheduled_at timestamptz not null,
        priority smallint not null check (priority between 1 and 4),
        args jsonb not null,
        attempted_by text[],
        errors jsonb[],
        kind text not null check (length(kind) between 1 and 127),
        metadata jsonb not null,
        queue text not null check (length(queue) between 1 and 127),
        tags text[] not null,
        unique_key bytea
    );
    create index on job (state, queue, priority, scheduled_at, id);
    create index on job (kind);
    create index on job (state, finalized_at) where finalized_at is not null;
    create unique index on job (unique_key) where unique_key is not null;
"""

SEARCHED_TABLES = TABLES + "create index on job using gin (args); create index on job using gin (metadata);"
"""With the indexes over arguments and metadata that both libraries make."""

_COLUMNS = "args, kind, max_attempts, metadata, priority, queue, scheduled_at, state, tags"

_INSERT = f"""
    insert into job ({_COLUMNS})
    select args, kind, most, metadata, priority, queue, at, state::job_state, string_to_array(tags, ',')
    from unnest($1::jsonb[], $2::text[], $3::smallint[], $4::jsonb[], $5::smallint[], $6::text[], $7::timestamptz[],
        $8::text[], $9::text[]) as given (args, kind, most, metadata, priority, queue, at, state, tags)
"""  # noqa: S608 - no values
_COPY = f"copy job ({_COLUMNS}) from stdin"

_DUE = "2099-01-01 00:00:00+00"
_OTHERS = ("timer", "25", "{}", "1", "default", _DUE, "scheduled")


@dataclass(frozen=True)
class Insertion:
    """A way to add jobs: what prepares a session, what a batch is made into, and what sends it."""

    name: str
    prepare: Callable[[pq.PGconn], None]
    make: Callable[[range], list[bytes]]
    send: Callable[[pq.PGconn, list[bytes]], None]


def _args(number: int) -> str:
    return f'{{"id": "order/{number}", "payload": "{PAYLOAD}"}}'


def _arrays(numbers: range) -> list[bytes]:
    columns = [map(_args, numbers), *([value] * len(numbers) for value in (*_OTHERS, ""))]
    return [f"{{{','.join(map(_quoted, column))}}}".encode() for column in columns]


def _quoted(value: str) -> str:
    return '"{}"'.format(value.replace('"', '\\"'))


def _lines(numbers: range) -> list[bytes]:
    return ["".join("\t".join((_args(number), *_OTHERS, "{}")) + "\n" for number in numbers).encode()]


def _prepare(connection: pq.PGconn) -> None:
    _check(connection.prepare(b"insert_jobs", _INSERT.encode()), connection)


def _insert(connection: pq.PGconn, arrays: list[bytes]) -> None:
    _check(connection.exec_prepared(b"insert_jobs", arrays), connection)


def _copy(connection: pq.PGconn, lines: list[bytes]) -> None:
    connection.exec_(_COPY.encode())
    for part in lines:
        connection.put_copy_data(part)
    connection.put_copy_end()
    _check(connection.get_result(), connection)
    while connection.get_result() is not None:
        pass


def _check(result: object, connection: pq.PGconn) -> None:
    if getattr(result, "status", None) != pq.ExecStatus.COMMAND_OK:
        raise AssertionError(connection.get_error_message())


INSERT = Insertion("INSERT from arrays", _prepare, _arrays, _insert)
COPY = Insertion("COPY", lambda _: None, _lines, _copy)


class Inserting:
    """While entered, clients in threads of their own, each with a session, that add batches of one size."""

    def __init__(self, url: str, insertion: Insertion, size: int, clients: int) -> None:
        self._insertion = insertion
        self._size = size
        self._number = 0
        self._sessions = [pq.PGconn.connect(url.encode()) for _ in range(clients)]

    def __enter__(self) -> "Inserting":
        for session in self._sessions:
            self._insertion.prepare(session)
        return self

    def __exit__(self, *_: object) -> None:
        for session in self._sessions:
            session.finish()

    def insert(self, batches: int) -> tuple[float, list[float]]:
        """Has each client add so many batches, one after the other; the jobs a second, and how long each batch took."""
        kept: list[list[float]] = [[] for _ in self._sessions]
        threads = [
            threading.Thread(target=self._work, args=(session, [self._made() for _ in range(batches)], latencies_s))
            for session, latencies_s in zip(self._sessions, kept, strict=True)
        ]
        with undisturbed():
            begun = time.perf_counter()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            took_s = time.perf_counter() - begun
        done = [one for latencies_s in kept for one in latencies_s]
        if len(done) != batches * len(threads):
            raise AssertionError(f"{batches * len(threads)} batches were to be inserted, and {len(done)} were")
        return len(done) * self._size / took_s, done

    def _made(self) -> list[bytes]:
        first, self._number = self._number, self._number + self._size
        return self._insertion.make(range(first, self._number))

    def _work(self, session: pq.PGconn, batches: list[list[bytes]], latencies_s: list[float]) -> None:
        for batch in batches:
            begun = time.perf_counter()
            self._insertion.send(session, batch)
            latencies_s.append(time.perf_counter() - begun)


def check_inserted(primary: Node, schema: str, expected: int) -> None:
    """Raises where there are not as many jobs as were added."""
    ((count,),) = primary.execute(f"select count(*) from {schema}.job", database=OWNER)  # noqa: S608 - a name of ours
    if count != expected:
        raise AssertionError(f"{expected:,} jobs were added, but there are {count}")
