"""The SQL of what servers write down for each other, and of how shards pass from one to another.

Each change is one statement that compares what it finds with what was read before, and locks rows in their order. Its
rows end with `synchronous_standby_names`, and the process of PostgreSQL that has executed it.
"""

from timer_server.store.postgres.statements import Statement

_BYTEA, _INT4, _TEXT, _UUID = 17, 23, 25, 2950
_INT4S, _INT8S, _UUIDS = 1007, 1016, 2951

_VIEW = """
    select view.*, current_setting('synchronous_standby_names'), pg_backend_pid() from (
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
    ) as view
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
    returning timer_server.incarnation, current_setting('synchronous_standby_names'), pg_backend_pid()
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

DEPART = Statement(
    "timer_depart",
    """
    update timer_server set dead = true where incarnation = $1
    returning current_setting('synchronous_standby_names'), pg_backend_pid()
    """,
    (_UUID,),
)
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
