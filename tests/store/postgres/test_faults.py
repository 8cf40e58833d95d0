"""What can be wrong with PostgreSQL or be done to it: one sentence each, and nothing counts as durable that is not."""

import errno
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from threading import Thread
from time import monotonic_ns
from typing import cast
from unittest.mock import Mock
from uuid import UUID

import psycopg
import pytest

from campaigns.disk_space import NoMount, small_file_system
from drivers.builders import entries_in
from drivers.pooler import Pooler
from drivers.postgres import OWNER, Cluster, Node, frozen
from postgres_store import new_place, require_postgres, shared_cluster
from store.postgres.waiting import begin_to_commit
from store.stores import changes, event, places
from timer_server.store.base import StoreAway, StoreError
from timer_server.store.postgres import database as database_module
from timer_server.store.postgres import own_session
from timer_server.store.postgres.database import Database, Replication
from timer_server.store.postgres.exchange import Answer, Steps, finish
from timer_server.store.postgres.own_session import OwnSession, Reply
from timer_server.store.postgres.primary import Primary
from timer_server.store.postgres.recent import RecentBlocks
from timer_server.store.postgres.schema import Shape
from timer_server.store.postgres.sentences import Failed, Lost, sentence
from timer_server.store.postgres.session import Session
from timer_server.store.postgres.statements import RAISE, STANDBYS, Statement
from timer_server.store.postgres.store import PostgresStore
from timer_server.store.postgres.url import parse

ME = UUID(int=1)
LIMIT_MS = 10_000


def fault_of(url: str, replication: Replication = "none") -> StoreError:
    """Why a database cannot be opened, in one line."""
    with closing(Database(parse(url), replication)) as database, pytest.raises(StoreError) as refusal:
        database.open(Shape(2), lambda: "log")
    assert str(refusal.value).isprintable()
    assert f":{OWNER}@" not in str(refusal.value)
    return refusal.value


@contextmanager
def opened(url: str, replication: Replication = "none") -> Iterator[PostgresStore]:
    """A store of one shard, and that shard."""
    with closing(Database(parse(url), replication)) as database:
        database.open(Shape(1), lambda: "log")
        store = PostgresStore(database, 0, ME, RecentBlocks())
        store.open()
        yield store


class TestConnecting:
    @pytest.mark.parametrize(
        ("url", "is_away", "said"),
        [
            ("postgresql://timers@127.0.0.1:1/x", True, "127.0.0.1:1: Connection refused"),
            ("postgresql://timers:wrong@{host}/timers", False, "password authentication failed .* in PGPASSWORD,"),
            ("postgresql://timers@{host}/timers", False, "no password supplied; set the password in PGPASSWORD,"),
            (
                "postgresql://timers:timers@{host}/nothing",
                False,
                '"nothing" does not exist; create it, or name another',
            ),
            ("postgresql://timers:timers@{host}/timers?sslmode=require", False, "support SSL, .*; see sslmode"),
            (
                "postgresql://timers:timers@{host}/timers?options=-csearch_path%3Dnowhere",
                False,
                "no schema has been selected .*3F000.; create the schema that search_path names",
            ),
            ("postgresql://timers:wrong@127.0.0.1:1,{host}/x", True, "refused; .*password authentication failed"),
        ],
    )
    def test_there_is_nobody_or_no_way_in(
        self, url: str, is_away: bool, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("PGPASSFILE", str(tmp_path / "none"))
        fault = fault_of(url.format(host=shared_cluster().primary.address))

        assert re.search(said, str(fault))
        assert isinstance(fault, StoreAway) == is_away

    def test_the_password_may_be_in_the_environment_or_in_a_file(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        url = shared_cluster().url(password="")
        file = tmp_path / "pgpass"
        file.write_text(f"127.0.0.1:*:*:{OWNER}:{OWNER}\n")
        file.chmod(0o600)
        for name, value in (("PGPASSFILE", str(file)), ("PGPASSWORD", OWNER)):
            with monkeypatch.context() as patch:
                patch.setenv(name, value)
                with closing(Database(parse(url), "none")) as database:
                    database.open(Shape(1), lambda: "log")

    def test_one_that_takes_the_connection_and_says_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(database_module, "READ_SILENCE_MS", 50)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            address = f"127.0.0.1:{silent.getsockname()[1]}"

            assert f"{address}: no answer in time" in str(fault_of(f"postgresql://me@{address}/x"))

    @pytest.mark.parametrize(
        ("needed", "fault", "said"),
        [
            ("socket.socketpair", OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
            ("threading.Thread.start", RuntimeError("can't start new thread"), "no thread is left for it"),
        ],
    )
    def test_a_name_that_cannot_be_looked_up_now_is_tried_again(
        self, needed: str, fault: Exception, said: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(needed, Mock(side_effect=fault))
        found = fault_of("postgresql://me@somewhere.invalid/x")

        assert isinstance(found, StoreAway)
        assert f"somewhere.invalid: the name cannot be looked up: {said}" in str(found)

    def test_no_connection_is_left_for_it(self) -> None:
        primary = shared_cluster().primary
        primary.execute("create role crowd login password 'crowd' connection limit 1")
        url = shared_cluster().url(user="crowd", password="crowd")
        with psycopg.connect(url):
            fault = fault_of(url)

        assert isinstance(fault, StoreAway)
        assert f"{primary.address}: FATAL: too many connections for role" in str(fault)
        assert "raise max_connections, or end sessions of others" in str(fault)

    def test_max_connections_is_reached(self) -> None:
        with ExitStack() as others:
            while True:
                try:
                    others.enter_context(psycopg.connect(shared_cluster().url()))
                except psycopg.OperationalError:
                    break
            fault = fault_of(shared_cluster().url())

        assert isinstance(fault, StoreAway)
        assert re.search("connection slots are reserved .*; raise max_connections, or end sessions", str(fault))

    def test_a_user_who_may_not_make_tables(self) -> None:
        url = new_place("closed")
        shared_cluster().primary.execute("alter schema closed owner to postgres", database=OWNER)
        shared_cluster().primary.execute(f"grant usage on schema closed to {OWNER}", database=OWNER)

        assert "permission denied for schema closed (SQLSTATE 42501); the user has to own" in str(fault_of(url))

    def test_a_pooler_is_found_out_where_it_pools_transactions(self) -> None:
        with Pooler(shared_cluster().primary.port) as pooler:
            fault = fault_of(shared_cluster().url().replace(shared_cluster().primary.address, pooler.address))

        assert "a pooler in transaction mode stands before it" in str(fault)
        assert not isinstance(fault, StoreAway)


@pytest.mark.parametrize(
    ("sqlstate", "stays"),
    [
        *((code, False) for code in ("", "08006", "23505", "25006", "26000", "40001", "40P01", "53100", "53400")),
        *((code, False) for code in ("55000", "55P03", "57014", "57P01", "58030", "P0001", "XX000", "ZZ999")),
        *((code, True) for code in ("0A000", "28000", "3D000", "3F000", "42501", "42P01", "42703", "XX001", "XX002")),
    ],
)
def test_only_what_somebody_has_to_mend_is_not_tried_again(sqlstate: str, stays: bool) -> None:
    fault = sentence("read", "postgresql://me@host/x", Failed(sqlstate, "so it is"))

    assert isinstance(fault, StoreAway) is not stays
    assert str(fault).startswith(f"cannot read postgresql://me@host/x: so it is (SQLSTATE {sqlstate})")


def test_a_read_that_is_refused_is_told_once_and_the_connection_stays() -> None:
    with opened(new_place("refused")) as store:
        store.commit(changes(event(1)))
        store.database.ask(Statement("", "set statement_timeout = 1"))
        with pytest.raises(StoreAway, match="SQLSTATE 57014"):
            store.database.ask(Statement("", "select pg_sleep(5)"))
        refusal = store.database.take_refusal() or ""

        assert "canceling statement due to statement timeout" in refusal
        assert store.database.take_refusal() is None
        assert not store.database.is_away


class TestDisk:
    def test_a_full_one_is_said_and_nothing_of_the_commit_is_there(self) -> None:
        primary = shared_cluster().primary
        try:
            with small_file_system(primary.folder.parent, "size=14m") as folder:
                primary.add_tablespace("small", folder)
                primary.execute(f"create database small owner {OWNER} tablespace small")
                with opened(shared_cluster().url(database="small")) as store:
                    refused = commit_until_refused(store, payload=b'"%s"' % (b"x" * 200_000))
                    assert isinstance(refused, StoreAway)
                    assert re.search(r"No space left .*SQLSTATE 53100\); make room on the disk", str(refused))
                    assert places(entries_in(store)) == [*range(1, store.state.ends.last_place + 1)]
                primary.execute("drop database small with (force)")
                primary.execute("drop tablespace small")
        except NoMount as reason:
            pytest.skip(str(reason))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A primary and a standby that confirms its commits."""
    require_postgres()
    with Cluster(standbys=1) as made:
        yield made


@pytest.mark.thorough
class TestStandby:
    @pytest.fixture
    def store(self, cluster: Cluster) -> Iterator[PostgresStore]:
        with opened(cluster.url(), "required") as store:
            yield store

    def test_it_confirms_commits(self, store: PostgresStore) -> None:
        place = store.state.ends.last_place + 1
        store.commit(changes(event(place)))

        assert store.entry(place) == event(place)

    def test_the_primary_is_found_wherever_it_stands(self, cluster: Cluster) -> None:
        standby, primary = cluster.standbys[0], cluster.primary
        with opened(cluster.url(standby, primary), "required") as store:
            assert store.state.log_id == "log"

        fault = fault_of(cluster.url(standby))
        assert isinstance(fault, StoreAway)
        assert f"{standby.address}: session is read-only; name the host of the primary" in str(fault)

    def test_a_commit_whose_wait_was_cancelled_is_not_durable(self, cluster: Cluster, store: PostgresStore) -> None:
        before = store.state
        with frozen(cluster.standbys[0]):
            failure, waiting = begin_to_commit(store)
            backend = wait_for_standby(cluster.primary)
            cluster.primary.execute("select pg_cancel_backend(%s)", backend)
            waiting.join(10)

        assert isinstance(failure[0], StoreAway)
        assert "the wait for the standby was cancelled, so it may not have the commit" in str(failure[0])
        assert store.state == before  # it is told to nobody

    @pytest.mark.usefixtures("store")
    def test_a_statement_that_was_released_without_a_warning_is_not_durable(self, cluster: Cluster) -> None:
        names = cluster.primary.execute("show synchronous_standby_names")[0][0]
        replies: list[Reply[object]] = []
        with closing(Primary(parse(cluster.url()), ME, "required", monotonic_ns)) as primary:
            finish(primary.opening(), LIMIT_MS)
            try:
                with frozen(cluster.standbys[0]):
                    waiting = Thread(target=lambda: replies.append(finish(primary.raising([(0, 1_000)]), LIMIT_MS)))
                    waiting.start()
                    wait_for_standby(cluster.primary)
                    cluster.primary.set("synchronous_standby_names", "")
                    waiting.join(10)
            finally:
                cluster.replicate(str(names))

        assert "synchronous_standby_names is empty" in (replies[0].doubt or "")

    def test_without_a_standby_nothing_is_acknowledged(
        self, cluster: Cluster, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(database_module, "WRITE_SILENCE_MS", 300)
        with frozen(cluster.standbys[0]):
            with pytest.raises(StoreAway, match=r"cannot write .*: no answer in time"):
                store.commit(changes(event(store.state.ends.last_place + 1)))
            (backend,) = [wait_for_standby(cluster.primary)]
            cluster.primary.execute("select pg_terminate_backend(%s)", backend)

    def test_one_that_is_not_wanted_any_more_is_noticed_with_the_next_commit(
        self, cluster: Cluster, store: PostgresStore
    ) -> None:
        """As on a promoted node that nobody has told of its standbys."""
        names = cluster.primary.execute("show synchronous_standby_names")[0][0]
        cluster.primary.set("synchronous_standby_names", "")
        try:
            refused = commit_until_refused(store)  # each session takes it up by itself
            assert isinstance(refused, StoreAway)
            assert "has no synchronous standby" in str(refused)
            assert "synchronous_standby_names is empty" in str(fault_of(cluster.url(), "required"))
            for replication in ("external", "none"):
                with opened(cluster.url(), replication) as other:  # type: ignore[arg-type]
                    other.commit(changes(event(other.state.ends.last_place + 1)))
        finally:
            cluster.replicate(str(names))


def test_names_are_looked_at_after_a_statement_unless_the_last_one_was_replicated_just_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    now_ns = 0
    names_after = b"s1"

    def answered(_: object, statement: Statement, __: object = ()) -> Steps[Answer]:
        asked.append(statement.name)
        yield None
        return Answer([(names_after,)] if statement is STANDBYS else [(b"", b"s1", b"\0\0\0\7")])

    monkeypatch.setattr(own_session, "asking", answered)
    session = OwnSession(parse("postgresql://me@host/x"), "me", "required", lambda: now_ns)
    session.session = cast("Session", Mock(about=Mock(backend=7)))

    def doubt() -> str | None:
        return finish(session.writing(RAISE), LIMIT_MS).doubt

    assert doubt() is None
    now_ns += 19_000_000
    assert doubt() is None
    assert asked == ["timer_raise", "", "timer_raise"]
    names_after = b""
    now_ns += 20_000_000
    assert "synchronous_standby_names is empty" in (doubt() or "")
    names_after = b"s1"
    assert doubt() is None
    assert asked[3:] == ["timer_raise", "", "timer_raise", ""]


def commit_until_refused(store: PostgresStore, **fields: bytes) -> StoreError:
    """Commits an event after the other, and returns why one was not acknowledged."""
    for _ in range(500):
        try:
            store.commit(changes(event(store.state.ends.last_place + 1, **fields)))
        except StoreError as error:
            return error
    raise AssertionError("commits are acknowledged")


def wait_for_standby(primary: Node) -> object:
    """The process of PostgreSQL that waits for the standby."""
    for _ in range(500):
        rows = primary.execute("select pid from pg_stat_activity where wait_event = 'SyncRep'")
        if rows:
            return rows[0][0]
        primary.execute("select pg_sleep(0.01)")
    raise AssertionError("nobody waits for the standby")


def test_another_primary_than_before_is_refused_where_it_is_older(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was cut off while another was promoted, and another database altogether."""
    with closing(Database(parse(shared_cluster().url()), "none")) as database:
        database.open(Shape(1), lambda: "log")
        seen = database.seen.newest
        assert seen is not None
        for other, said in (
            (seen._replace(timeline=seen.timeline + 1), "this is an old primary .timeline 1., another was promoted"),
            (seen._replace(system="1"), "this is another database system"),
        ):
            database.close()
            database.seen.newest = other
            with pytest.raises(StoreError, match=said):
                database.reconnect()
        database.seen.newest = seen._replace(timeline=seen.timeline - 1)
        database.reconnect()


@pytest.mark.parametrize("by_another_server", [False, True])
def test_a_session_with_a_primary_is_lost_once_a_newer_one_was_seen(by_another_server: bool) -> None:
    url = parse(shared_cluster().url())
    with closing(Database(url, "none")) as database:
        database.open(Shape(1), lambda: "log")
        with closing(Primary(url, ME, "none", monotonic_ns, database.seen)) as primary:
            finish(primary.opening(), LIMIT_MS)
            assert not primary.is_lost()
            assert database.seen.newest is not None
            if by_another_server:
                database.seen.hear(2)
            else:
                database.seen.newest = database.seen.newest._replace(timeline=2)
            assert primary.is_lost()
            with pytest.raises(Lost, match="this is an old primary"):
                finish(primary.opening(), LIMIT_MS)
            assert database.seen.timeline == 2
