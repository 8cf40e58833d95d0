"""A session with the primary: how it is opened, what it has to be set to, and what it says about PostgreSQL."""

from typing import NamedTuple

from psycopg.pq.abc import PGconn

from timer_server.store.postgres.exchange import Steps, asking, connecting
from timer_server.store.postgres.seen import About, Seen
from timer_server.store.postgres.sentences import Failed, Lost, Unfit, is_final
from timer_server.store.postgres.statements import Statement
from timer_server.store.postgres.url import Host, Url

OLDEST_POSTGRES = 13
"""The oldest major version of PostgreSQL that is supported."""

_SETTINGS = {
    "synchronous_commit": "on",
    "client_min_messages": "warning",  # a cancelled wait for the standby is told by a warning alone
    "default_transaction_isolation": "read committed",
    # Nothing but the server itself cancels what it has asked.
    "statement_timeout": "0",
    "lock_timeout": "0",
    "transaction_timeout": "0",
    "idle_session_timeout": "0",
    # Tables that were small when a statement was prepared grow: only plans by index stay good.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}

_SETTINGS_OF_TCP = {
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "5000",
}
"""So that PostgreSQL finds within seconds that a server is gone, and lets go of what its session holds."""

_ROWS = ", ".join(
    f"('{name}', '{value}', {settings is _SETTINGS_OF_TCP})"
    for settings in (_SETTINGS, _SETTINGS_OF_TCP)
    for name, value in settings.items()
)
_KNOWN = f"""
    from (values {_ROWS}) as given (name, value, is_of_tcp) join pg_settings on pg_settings.name = given.name
    where (not is_of_tcp or inet_client_addr() is not null)
"""
"""What this version of PostgreSQL knows of the settings."""

_SET = Statement("", f"select set_config(given.name, given.value, false) {_KNOWN}")
_READ_BACK = Statement("", f"select given.name, pg_settings.setting {_KNOWN} and given.value <> pg_settings.setting")

_ABOUT = Statement(
    "",
    """
    select pg_backend_pid()::text, current_setting('server_version_num'), pg_control_system.system_identifier::text,
        pg_walfile_name(pg_current_wal_lsn()), current_setting('synchronous_standby_names'),
        current_setting('fsync')
    from pg_control_system()
    """,
)

_BEGIN = Statement("", "begin")
_BACKEND = Statement("", "select pg_backend_pid()::text")


class Session(NamedTuple):
    """A connection to the primary, with the settings that a server needs."""

    connection: PGconn
    about: About


def opening(url: Url, seen: Seen | None = None) -> Steps[Session]:
    """A session with the first host that has the primary.

    `seen` is what other sessions have seen by then: a primary of an older timeline was cut off and may have lost what
    the newer one has. Raises `Lost`, or `Unfit` where no host will ever do.
    """
    reasons, may_come = [], False
    for host in url.hosts:
        try:
            connection = yield from connecting(host)
        except Lost as lost:
            may_come |= not is_final(str(lost))
            reasons.append(f"{host.name}: {lost}")
            continue
        try:
            return (yield from _set_up(connection, host, seen))
        except (Failed, Lost, Unfit) as fault:
            may_come |= not isinstance(fault, Unfit)
            reasons.append(f"{host.name}: {fault}")
            connection.finish()
        except BaseException:
            connection.finish()
            raise
    raise (Lost if may_come else Unfit)("; ".join(reasons))


def _set_up(connection: PGconn, host: Host, seen: Seen | None) -> Steps[Session]:
    """Makes a connection a session. Raises `Lost`, `Unfit` and `Failed`."""
    yield from asking(connection, _SET)
    about = yield from _told_about(connection)
    if about.version // 10_000 < OLDEST_POSTGRES:
        raise Unfit(f"this is PostgreSQL {about.version // 10_000}, and {OLDEST_POSTGRES} or newer is needed")
    if seen is not None:
        seen.check(about)
    if about.backend != connection.backend_pid and (yield from _is_pooled(connection, host, about)):
        raise Unfit("a pooler in transaction mode stands before it: name PostgreSQL itself, or pool sessions")
    for name, value in (yield from asking(connection, _READ_BACK)).rows:
        raise Unfit(f"{name.decode()} cannot be set for the session, it stays {value.decode()!r}")
    return Session(connection, about)


def _told_about(connection: PGconn) -> Steps[About]:
    (row,) = (yield from asking(connection, _ABOUT)).rows
    backend, version, system, wal_file, standbys, fsync = (value.decode() for value in row)
    return About(int(backend), int(version), system, int(wal_file[:8], 16), standbys, fsync == "on")


def _is_pooled(connection: PGconn, host: Host, about: About) -> Steps[bool]:
    """Whether two connections share a process of PostgreSQL, or this one has got another: it lasts for a transaction.

    Only asked where something stands between: it makes up the number of the process that libpq was told.
    """
    other = yield from connecting(host)
    try:
        yield from asking(other, _BEGIN)
        if (yield from _backend(other)) == about.backend:
            return True
        return (yield from _backend(connection)) != about.backend
    finally:
        other.finish()


def _backend(connection: PGconn) -> Steps[int]:
    ((backend,),) = (yield from asking(connection, _BACKEND)).rows
    return int(backend)
