"""The SQL statements, with the types of their parameters.

Every change of a shard goes through the fence: its row is locked and has to be as this server left it, with its epoch,
this server as owner, and the place of the last entry that it wrote. A check of another row, or in another statement,
lets stale writes in.
"""

from typing import NamedTuple

_BYTEA, _INT8, _INT4, _TEXT, _UUID = 17, 20, 23, 25, 2950
_BYTEAS, _INT4S, _INT8S, _TEXTS = 1001, 1007, 1016, 1009


class Statement(NamedTuple):
    """A statement and the types of its parameters, as the catalogue numbers them.

    `name` is the one under which a session prepares it; without it, it is not prepared.
    """

    name: str
    text: str
    types: tuple[int, ...] = ()


COMMIT = Statement(
    "timer_commit",
    """
    with given as (
        select * from unnest($2, $3, $4, $5, $6, $7)
            as given (number, epoch, last_place, next_place, state, checksum)
    ), locked as (
        select timer_shard.number, given.next_place, given.state, given.checksum
        from given join timer_shard on timer_shard.number = given.number
        where timer_shard.epoch = given.epoch and timer_shard.owner = $1 and timer_shard.last_place = given.last_place
        order by timer_shard.number
        for update of timer_shard
    ), fenced as (
        update timer_shard
        set last_place = locked.next_place, state = locked.state, checksum = locked.checksum
        from locked
        where timer_shard.number = locked.number
        returning timer_shard.number
    ), deleted as (
        delete from timer_block
        using unnest($8, $9) as gone (shard, last_place), fenced
        where timer_block.shard = gone.shard and timer_block.last_place = gone.last_place and gone.shard = fenced.number
    ), rewritten as (
        update timer_block
        set body = given.body, checksum = given.checksum
        from unnest($10, $11, $12, $13) as given (shard, last_place, body, checksum), fenced
        where timer_block.shard = given.shard and timer_block.last_place = given.last_place
            and given.shard = fenced.number
    ), inserted as (
        insert into timer_block (shard, last_place, last_seq, body, checksum)
        select given.* from unnest($14, $15, $16, $17, $18) as given (shard, last_place, last_seq, body, checksum)
        join fenced on given.shard = fenced.number
    )
    select number, current_setting('synchronous_standby_names'), pg_backend_pid() from fenced
    """,
    (
        _UUID,
        *(_INT4S, _INT8S, _INT8S, _INT8S, _BYTEAS, _INT8S),
        *(_INT4S, _INT8S),
        *(_INT4S, _INT8S, _BYTEAS, _INT8S),
        *(_INT4S, _INT8S, _INT8S, _BYTEAS, _INT8S),
    ),
)
"""Writes to several shards at once, and returns those whose row was as it had to be; nothing of the others is written.
With each come `synchronous_standby_names`, and the process of PostgreSQL that this session has."""

TAKE = Statement(
    "",
    """
    with locked as (select number from timer_shard where number = any($2) order by number for update)
    update timer_shard set epoch = epoch + 1, owner = $1 from locked where timer_shard.number = locked.number
    returning timer_shard.number, log_id, epoch, last_place, state, checksum,
        current_setting('synchronous_standby_names'), pg_backend_pid()
    """,
    (_UUID, _INT4S),
)
"""Makes this server the owner of shards, whoever owned them."""

RAISE = Statement(
    "timer_raise",
    """
    with given as (
        select * from unnest($2, $3) as given (number, raised)
    ), locked as (
        select timer_shard.number, given.raised
        from given join timer_shard on timer_shard.number = given.number
        where timer_shard.epoch < given.raised and timer_shard.owner = $1
        order by timer_shard.number
        for update of timer_shard
    )
    update timer_shard set epoch = locked.raised from locked where timer_shard.number = locked.number
    returning timer_shard.number, log_id, epoch, last_place, state, checksum,
        current_setting('synchronous_standby_names'), pg_backend_pid()
    """,
    (_UUID, _INT4S, _INT8S),
)
"""Raises the epochs of shards that this server still owns, and returns these: so it is known what a commit without an
answer has done. A statement of before writes nothing from then on.

An earlier RAISE without an answer may have been done, or may yet be, or one that was acknowledged is lost. So the old
epoch may be any below the new one, which none before has asked for."""

RENAME_OWN = Statement(
    "timer_rename_own",
    """
    with given as (
        select * from unnest($2, $3, $4, $5, $6) as given (number, epoch, log_id, state, checksum)
    ), locked as (
        select given.*
        from given join timer_shard on timer_shard.number = given.number
        where timer_shard.epoch = given.epoch and timer_shard.owner = $1
        order by timer_shard.number
        for update of timer_shard
    )
    update timer_shard set log_id = locked.log_id, state = locked.state, checksum = locked.checksum
    from locked where timer_shard.number = locked.number
    returning timer_shard.number, current_setting('synchronous_standby_names'), pg_backend_pid()
    """,
    (_UUID, _INT4S, _INT8S, _TEXTS, _BYTEAS, _INT8S),
)
"""Gives logs of this server's shards new ids, after PostgreSQL has lost acknowledged events of them."""

TAKE_PLACE = Statement(
    "",
    """
    with named as (select set_config('application_name', $1, false))
    select pg_terminate_backend(pg_stat_activity.pid) from named, pg_stat_activity
    where pg_stat_activity.application_name = $1 and pg_stat_activity.pid <> pg_backend_pid()
    """,
    (_TEXT,),
)
"""Names this session, and ends those of the same name. A session that its server has given up may wait for a standby
for ever, and holds the rows of its shards until then."""

STANDBYS = Statement("", "select current_setting('synchronous_standby_names')")

SHARDS = Statement("", "select number, log_id, epoch, last_place, state, checksum from timer_shard order by number")

RENAME = Statement(
    "",
    """
    with ended as (update timer_server set dead = true)
    update timer_shard
    set log_id = given.log_id, state = given.state, checksum = given.checksum, epoch = epoch + 1, owner = null
    from unnest($1, $2, $3, $4) as given (number, log_id, state, checksum)
    where timer_shard.number = given.number
    """,
    (_INT4S, _TEXTS, _BYTEAS, _INT8S),
)
"""Gives logs new ids after a restore, and takes the shards from all servers, which then begin anew."""

BLOCKS_AFTER = Statement(
    "timer_blocks_after",
    """
    select last_place, last_seq, body, checksum
    from timer_block where shard = $1 and last_place > $2 order by last_place limit $3
    """,
    (_INT4, _INT8, _INT4),
)
"""The first blocks that end behind a place."""

SHARD = Statement(
    "timer_shard_row",
    "select number, log_id, epoch, last_place, state, checksum from timer_shard where number = $1",
    (_INT4,),
)

EPOCH = Statement("", "select epoch from timer_shard where number = $1", (_INT4,))

SOME_BLOCKS = Statement(
    "timer_some_blocks",
    """
    select last_place, last_seq, body, checksum
    from (
        select *, sum(octet_length(body)) over (order by last_place) - octet_length(body) as begin
        from (
            select last_place, last_seq, body, checksum
            from timer_block where shard = $1 and last_place > $2 order by last_place limit $3
        ) as first_ones
    ) as counted
    where begin < $4 order by last_place
    """,
    (_INT4, _INT8, _INT4, _INT8),
)
"""The first blocks that end behind a place, as far as they begin within so many bytes."""

BLOCK_KEYS = Statement(
    "timer_block_keys",
    """
    select last_place, checksum, octet_length(body)::bigint
    from timer_block where shard = $1 and last_place > $2 and last_place <= $3 order by last_place limit $4
    """,
    (_INT4, _INT8, _INT8, _INT4),
)
"""What tells whether blocks are as they were read before."""

PLACE_AFTER_SEQ = Statement(
    "timer_place_after_seq",
    """
    select last_place from timer_block where shard = $1 and last_seq > $2 order by last_seq, last_place limit 1
    """,
    (_INT4, _INT8),
)
"""The end of the first block that holds anything behind the event with this `seq`."""

BLOCKS_WITH = Statement(
    "timer_blocks_with",
    """
    select distinct on (last_place) found.last_place, found.last_seq, found.body, found.checksum
    from unnest($2) as given (place)
    cross join lateral (
        select last_place, last_seq, body, checksum
        from timer_block where shard = $1 and last_place >= given.place order by last_place limit 1
    ) as found
    order by last_place
    """,
    (_INT4, _INT8S),
)
"""The blocks in which some places stand, or would stand, each once."""

BEGIN = Statement("", "begin")
END = Statement("", "commit")

WAIT_BRIEFLY = Statement("", "set lock_timeout = '500ms'")
"""A lock that is held for longer is an error: a session whose end nobody has seen may hold it for ever."""

LOCK_STORE = Statement("", "select pg_advisory_xact_lock(hashtext('timer_store'))")
"""One server at a time makes tables or changes them."""

TABLES_FOUND = Statement(
    "", "select relname::text from pg_class where relname = any($1) and pg_table_is_visible(oid)", (_TEXTS,)
)
"""All at one moment, as they are made together."""

COLUMNS = Statement("", "select attname from pg_attribute where attrelid = to_regclass('timer_store') and attnum > 0")
STORE = Statement("", "select created_by, schema, oldest_release, format, shards, lease_ms from timer_store")
SHARDS_COUNT = Statement("", "select count(*) from timer_shard")

ADD_STORE = Statement(
    "",
    """
    insert into timer_store (created_by, schema, oldest_release, format, shards, lease_ms)
    values ($1, $2, $3, $4, $5, $6)
    """,
    (_TEXT, _INT4, _TEXT, _INT4, _INT4, _INT4),
)
ADD_SHARDS = Statement(
    "",
    "insert into timer_shard (number, log_id, state, checksum) select * from unnest($1, $2, $3, $4)",
    (_INT4S, _TEXTS, _BYTEAS, _INT8S),
)
SET_SCHEMA = Statement("", "update timer_store set schema = $1, oldest_release = $2", (_INT4, _TEXT))

LIVING_BEATS = Statement("", "select coalesce(sum(beat), 0)::bigint from timer_server where not dead")
PAUSE = Statement("", "select pg_sleep(1.2)")
"""Longer than two beats."""

OF_COMMITS = (COMMIT, RAISE, RENAME_OWN)
OF_READS = (BLOCKS_AFTER, PLACE_AFTER_SEQ, BLOCKS_WITH)
OF_LOADS = (SHARD, SOME_BLOCKS, BLOCK_KEYS, BLOCKS_WITH)
"""What a session for commits, one for reads and one for loading prepare."""
