"""What servers that share a database write down for each other, and how shards pass from one to another.

Each change is one statement that compares what it finds with what was read before, and locks rows in their order. It
counts once it has ended and is confirmed. Beats go over a session of their own, as the others may wait for locks.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import msgspec
from psycopg.pq.abc import PGconn

from timer_server.store.membership import ServerRow, ShardRow, Tie, Told, View
from timer_server.store.postgres.arrays import int4, int4_array, int8_array, uuid_array
from timer_server.store.postgres.exchange import Steps, asking
from timer_server.store.postgres.sentences import Lost, Unfit
from timer_server.store.postgres.statements import BEGIN, END, Statement

_BYTEA, _INT4, _TEXT, _UUID = 17, 23, 25, 2950
_INT4S, _INT8S, _UUIDS = 1007, 1016, 2951

_VIEW = """
    select 0 as kind, null::integer as number, null::uuid as id, mine.joined,
        (extract(epoch from clock_timestamp()) * 1000000)::bigint * 1000 as moment_ns,
        null::bigint as a, null::bigint as b, null::bigint as c, null::integer[] as formats, null::bytea as told,
        timer_store.format::text as name
    from timer_store left join mine on true
    union all
    select 1, dead::integer, incarnation, joined, clock_ns, beat, null, null, formats, told, name from timer_server
    union all
    select 2, number, owner, epoch, tie_clock_ns, last_place, tie_epoch, tie_timeline_ns, null, null, null
    from timer_shard
"""
"""What a beat reads, as one table: the row `mine`, then all servers, then all shards. PostgreSQL's clock tells
microseconds."""


def _with_view(mine: str) -> str:
    """A statement that writes this server's row, and reads what stood there before and all else."""
    return f"with mine as ({mine}) {_VIEW}"


JOIN = Statement(
    "timer_join",
    _with_view(
        """
        insert into timer_server (incarnation, name, clock_ns, formats, told)
        select $1, $2, (extract(epoch from clock_timestamp()) * 1000000)::bigint * 1000, $3, $4
        from timer_store where format = any($3) for share
        returning joined
        """
    ),
    (_UUID, _TEXT, _INT4S, _BYTEA),
)
"""Adds this server, unless it cannot read the format of the store; that cannot be raised meanwhile."""

BEAT = Statement(
    "timer_beat",
    _with_view(
        """
        update timer_server
        set beat = beat + 1, clock_ns = (extract(epoch from clock_timestamp()) * 1000000)::bigint * 1000, told = $2
        where incarnation = $1 and not dead
        returning joined
        """
    ),
    (_UUID, _BYTEA),
)
"""Raises the beat of this server, unless it was declared dead."""

DECLARE_DEAD = Statement(
    "timer_declare_dead",
    """
    with seen as (
        select * from unnest($1, $2) as seen (incarnation, beat)
    ), locked as (
        select timer_server.incarnation
        from seen join timer_server on timer_server.incarnation = seen.incarnation
        where timer_server.beat = seen.beat and not timer_server.dead
        order by timer_server.incarnation
        for update of timer_server
    )
    update timer_server set dead = true from locked where timer_server.incarnation = locked.incarnation
    returning timer_server.incarnation
    """,
    (_UUIDS, _INT8S),
)
"""Declares servers dead that have not beaten since they were read."""

CLAIM = Statement(
    "timer_claim",
    """
    with seen as (
        select * from unnest($2, $3, $4) as seen (number, epoch, timeline_ns)
    ), locked as (
        select timer_shard.number, seen.timeline_ns
        from seen join timer_shard on timer_shard.number = seen.number
        where timer_shard.epoch = seen.epoch
        order by timer_shard.number
        for update of timer_shard
    )
    update timer_shard
    set epoch = epoch + 1, owner = $1,
        tie_epoch = epoch + 1, tie_timeline_ns = locked.timeline_ns,
        tie_clock_ns = (extract(epoch from clock_timestamp()) * 1000000)::bigint * 1000
    from locked
    where timer_shard.number = locked.number
    returning timer_shard.number, timer_shard.epoch, timer_shard.last_place,
        current_setting('synchronous_standby_names'), pg_backend_pid()
    """,
    (_UUID, _INT4S, _INT8S, _INT8S),
)
"""Makes this server the owner of shards that are in the epoch that was read."""

HAND_OVER = Statement(
    "timer_hand_over",
    """
    with given as (
        select * from unnest($2, $3, $4, $5, $6) as given (number, epoch, last_place, receiver, timeline_ns)
    ), locked as (
        select timer_shard.number, given.receiver, given.timeline_ns
        from given join timer_shard on timer_shard.number = given.number
        where timer_shard.epoch = given.epoch and timer_shard.owner = $1 and timer_shard.last_place = given.last_place
        order by timer_shard.number
        for update of timer_shard
    )
    update timer_shard
    set epoch = epoch + 1, owner = locked.receiver,
        tie_epoch = epoch, tie_timeline_ns = locked.timeline_ns,
        tie_clock_ns = (extract(epoch from clock_timestamp()) * 1000000)::bigint * 1000
    from locked
    where timer_shard.number = locked.number
    returning timer_shard.number, current_setting('synchronous_standby_names'), pg_backend_pid()
    """,
    (_UUID, _INT4S, _INT8S, _INT8S, _UUIDS, _INT8S),
)
"""Gives shards that are as this server left them to others, or to nobody. It goes behind their last commit."""

FORGET = Statement(
    "timer_forget",
    """
    delete from timer_server
    where dead and not exists (select from timer_shard where timer_shard.owner = timer_server.incarnation)
    """,
)
"""Removes dead servers that own nothing."""

DEPART = Statement("timer_depart", "update timer_server set dead = true where incarnation = $1", (_UUID,))
"""Declares this server dead, which owns nothing any more."""

END_BLOCKERS = Statement(
    "timer_end_blockers",
    """
    with recursive blocking (pid) as (
        select unnest(pg_blocking_pids($1))
        union
        select further.pid from blocking cross join unnest(pg_blocking_pids(blocking.pid)) as further (pid)
    )
    select pid, pg_terminate_backend(pid) from blocking
    where pid > 0 and cardinality(pg_blocking_pids(pid)) = 0
    """,
    (_INT4,),
)
"""Ends the sessions for which that of another process of PostgreSQL waits, and which do not wait themselves.

Of one that waits it ends those for which that waits, and so on: the server of one between may be gone."""

LOCK_FORMAT = Statement("", "select format from timer_store for update")
RAISE_FORMAT = Statement(
    "",
    """
    update timer_store set format = $1
    where format <= $1 and not exists (select from timer_server where not dead and not formats @> array[$1])
    returning format
    """,
    (_INT4,),
)
"""Has entries written in another format from now on, if every living server can read it."""

OF_BEATS = (JOIN, BEAT)
OF_MEMBERSHIP = (DECLARE_DEAD, CLAIM, FORGET, DEPART)
OF_RESCUE = (END_BLOCKERS,)
"""What a session for beats, one for changes of membership and one for when these wait prepare."""


class Pulse(NamedTuple):
    """What a beat has found: when this server joined, None where it was declared dead; PostgreSQL's clock; all rows."""

    joined: int | None
    clock_ns: int
    view: View


class Owned(NamedTuple):
    """A shard that was taken: its epoch, and the last place of its log."""

    number: int
    epoch: int
    last_place: int


class Handover(NamedTuple):
    """A shard to give away as it was left, to an incarnation or to nobody, at a moment of its timeline."""

    number: int
    epoch: int
    last_place: int
    to: str | None
    timeline_ns: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Told).decode


def joining(connection: PGconn, me: str, name: str, formats: Sequence[int], told: Told) -> Steps[Pulse]:
    """Adds this server. Raises `Unfit` where it cannot read the entries of the store."""
    values = [UUID(me).bytes, name.encode(), int4_array(formats), _encode(told)]
    answer = yield from _confirmed(connection, JOIN, values)
    pulse = _pulse(answer)
    if pulse.joined is None:
        written = next(row[10].decode() for row in answer if not _number(row[0]))
        read = ", ".join(map(str, sorted(formats)))
        raise Unfit(f"its entries are written in format {written}, and this release reads {read}")
    return pulse


def beating(connection: PGconn, me: str, told: Told) -> Steps[Pulse]:
    """Raises the beat of this server."""
    return _pulse((yield from _confirmed(connection, BEAT, [UUID(me).bytes, _encode(told)])))


def declaring_dead(connection: PGconn, servers: Sequence[ServerRow]) -> Steps[frozenset[str]]:
    """Declares servers dead that are as they were read, and returns those that were."""
    values = [uuid_array([row.incarnation for row in servers]), int8_array([row.beat for row in servers])]
    rows = yield from _confirmed(connection, DECLARE_DEAD, values)
    return frozenset(str(UUID(bytes=row[0])) for row in rows)


def claiming(connection: PGconn, me: str, claims: Sequence[tuple[int, int, int]]) -> Steps[list[Owned]]:
    """Takes shards that are in the epoch that was read: each as its number, that epoch and a moment of its timeline."""
    numbers, epochs, moments = zip(*claims, strict=True)
    values = [UUID(me).bytes, int4_array(numbers), int8_array(epochs), int8_array(moments)]
    rows = yield from _confirmed(connection, CLAIM, values)
    return [Owned(_number(row[0]), _number(row[1]), _number(row[2])) for row in rows]


def handing_over(connection: PGconn, me: str, shards: Sequence[Handover]) -> Steps[frozenset[int]]:
    """Gives shards away, and returns those that this server still owned as it had left them."""
    numbers, epochs, places, receivers, moments = zip(*shards, strict=True)
    values = [
        UUID(me).bytes,
        int4_array(numbers),
        int8_array(epochs),
        int8_array(places),
        uuid_array(receivers),
        int8_array(moments),
    ]
    return frozenset(_number(row[0]) for row in (yield from _confirmed(connection, HAND_OVER, values)))


def forgetting(connection: PGconn) -> Steps[None]:
    """Removes dead servers that own nothing."""
    yield from asking(connection, FORGET)


def departing(connection: PGconn, me: str) -> Steps[None]:
    """Declares this server dead."""
    yield from _confirmed(connection, DEPART, [UUID(me).bytes])


def ending_blockers(connection: PGconn, backend: int) -> Steps[list[tuple[int, bool]]]:
    """Ends the sessions that hold what another waits for, and returns their processes, and whether each was ended."""
    rows = (yield from asking(connection, END_BLOCKERS, [int4(backend)])).rows
    return [(_number(pid), is_ended != b"\0") for pid, is_ended in rows]


def raising_format(connection: PGconn, wanted: int) -> Steps[bool]:
    """Has entries written in another format, and returns whether that could be."""
    yield from asking(connection, BEGIN)
    yield from asking(connection, LOCK_FORMAT)  # who has joined meanwhile is seen by the next statement alone
    raised = yield from asking(connection, RAISE_FORMAT, [int4(wanted)])
    yield from _confirmed(connection, END, [])
    return bool(raised.rows)


def _confirmed(connection: PGconn, statement: Statement, values: Sequence[bytes]) -> Steps[list[tuple[bytes, ...]]]:
    """The rows of a statement. Raises `Lost` where it is not known to be durable: then nothing may be built on it."""
    answer = yield from asking(connection, statement, values)
    if not answer.is_confirmed:
        raise Lost("the wait for the standby was cancelled")
    return answer.rows


def _pulse(rows: Sequence[tuple[bytes, ...]]) -> Pulse:
    joined, clock_ns = None, 0
    servers, shards = [], []
    for kind, number, key, age, moment_ns, a, b, c, formats, told, name in rows:
        match _number(kind):
            case 0:
                joined, clock_ns = _number(age) if age else None, _number(moment_ns)
            case 1:
                tells = _decode(told) if told else Told()
                row = ServerRow(
                    str(UUID(bytes=key)), _number(age), name.decode(), _number(a), bool(_number(number)),
                    _number(moment_ns), _numbers(formats), tells,
                )  # fmt: skip
                servers.append(row)
            case _:
                tie = Tie(_number(number), _number(b), _number(c), _number(moment_ns)) if b else None
                owner = str(UUID(bytes=key)) if key else None
                shards.append(ShardRow(_number(number), _number(age), owner, _number(a), tie))
    return Pulse(joined, clock_ns, View(tuple(servers), tuple(shards)))


def _number(value: bytes) -> int:
    return int.from_bytes(value, "big", signed=True)


def _numbers(array: bytes) -> tuple[int, ...]:
    """The elements of an array of `integer`."""
    return tuple(_number(array[at : at + 4]) for at in range(24, len(array), 8))
