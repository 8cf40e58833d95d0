"""What servers write down for each other, on a real PostgreSQL: what each statement compares, and what it waits for.

The last tests show why shards are not fenced, taken and read in other ways that look as good.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import TypeVar
from uuid import uuid4

import psycopg
import pytest

from drivers.builders import LOG_ID
from postgres_store import new_place
from timer_server.store.membership import Moment, Offer, ServerRow, ShardRow, Told
from timer_server.store.postgres import membership
from timer_server.store.postgres.database import Database, Replication
from timer_server.store.postgres.exchange import Steps, finish
from timer_server.store.postgres.membership import Beats, Changes, Handover, Owned, Pulse, Rescue
from timer_server.store.postgres.membership_statements import HAND_OVER
from timer_server.store.postgres.own_session import Reply
from timer_server.store.postgres.schema import FORMAT, Shape
from timer_server.store.postgres.sentences import Unfit
from timer_server.store.postgres.url import parse

T = TypeVar("T")
LIMIT_S = 10
S_NS = 1_000_000_000


class Sessions(Beats, Changes, Rescue):
    """All sessions of a server in one."""

    statements = (*Beats.statements, *Changes.statements, *Rescue.statements, HAND_OVER)


class Server:
    """A server that runs one statement after the other."""

    def __init__(self, url: str, name: str = "somebody", replication: Replication = "none") -> None:
        self.me = str(uuid4())
        self.name = name
        self.session = Sessions(parse(url), f"timer-server {self.me}", replication, time.monotonic_ns)
        finish(self.session.opening(), LIMIT_S * 1_000)

    def run(self, steps: Steps[Reply[T]]) -> T:
        reply = finish(steps, LIMIT_S * 1_000)
        assert reply.doubt is None
        return reply.value

    def doubt(self, steps: Steps[Reply[T]]) -> str | None:
        return finish(steps, LIMIT_S * 1_000).doubt

    def join(self, formats: tuple[int, ...] = (FORMAT,), told: Told = Told()) -> Pulse:  # noqa: B008 - immutable
        return self.run(self.session.joining(self.me, self.name, formats, told))

    def beat(self, told: Told = Told()) -> Pulse:  # noqa: B008
        return self.run(self.session.beating(self.me, told))

    def declare_dead(self, *servers: ServerRow) -> frozenset[str]:
        return self.run(self.session.declaring_dead(servers))

    def claim(self, *claims: tuple[int, int, int]) -> list[Owned]:
        return self.run(self.session.claiming(self.me, claims))

    def give(self, *shards: Handover) -> frozenset[int]:
        return self.run(membership.handing_over(self.session, self.me, shards))

    def depart(self) -> None:
        self.run(self.session.departing(self.me))

    def raise_format(self, wanted: int) -> bool:
        assert self.session.session is not None
        return finish(membership.raising_format(self.session.session.connection, wanted), LIMIT_S * 1_000)

    def end_blockers_of(self, other: "Server") -> list[tuple[int, bool]]:
        assert other.session.backend is not None
        return self.run(self.session.ending_blockers(other.session.backend))

    def close(self) -> None:
        self.session.close()


@pytest.fixture
def url() -> Iterator[str]:
    """A new store of three shards."""
    place = new_place("members")
    with closing(Database(parse(place), "none")) as database:
        database.open(Shape(3), lambda: LOG_ID)
    return place


@pytest.fixture
def servers(url: str) -> Iterator[list[Server]]:
    """Three of them, which have not joined."""
    with ExitStack() as stack:
        yield [stack.enter_context(closing(Server(url, name))) for name in "abc"]


@contextmanager
def transaction(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url) as connection:
        yield connection


def execute(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        rows = connection.execute(statement)
        return rows.fetchall() if rows.description else []


def wait_for_lock(url: str, sessions: int = 1) -> None:
    for _ in range(LIMIT_S * 50):
        if len(execute(url, "select 1 from pg_stat_activity where wait_event_type = 'Lock'")) >= sessions:
            return
        execute(url, "select pg_sleep(0.02)")
    raise AssertionError("nobody waits for a lock")


def shards_of(pulse: Pulse) -> list[ShardRow]:
    return sorted(pulse.view.shards, key=lambda row: row.number)


def row_of(pulse: Pulse, server: Server) -> ServerRow:
    return next(row for row in pulse.view.servers if row.incarnation == server.me)


def test_a_beat_reads_what_all_have_written_down(servers: list[Server]) -> None:
    a, b, _ = servers
    told = Told(True, (Offer(1, b.me),), (2,), (Moment(0, 7, 123),), peer="tcp://b:8890", pending=5)

    first = a.join(told=told)
    assert first.view.servers == ()  # what it writes itself is not in it
    assert shards_of(first) == [ShardRow(number, 0, None, 0) for number in range(3)]
    second = b.join((FORMAT, FORMAT + 1))
    assert (second.joined or 0) > (first.joined or 0)
    a.beat(told)

    seen = b.beat()
    mine = row_of(seen, a)
    assert (mine.name, mine.beat, mine.is_dead, mine.told, mine.joined) == ("a", 1, False, told, first.joined)
    assert first.clock_ns < mine.clock_ns < seen.clock_ns
    assert row_of(seen, b).formats == (FORMAT, FORMAT + 1)


def test_a_row_that_cannot_be_read_tells_nothing(url: str, servers: list[Server]) -> None:
    a, b, _ = servers
    a.join(told=Told(is_leaving=True))
    b.join()
    for damage in (
        r"update timer_server set told = '\x01' where name = 'a'",
        r"update timer_server set told = '\x91a178' where name = 'a'",
    ):
        execute(url, damage)
        assert row_of(b.beat(), a).told == Told()


def test_who_has_beaten_since_is_not_declared_dead_and_who_is_dead_beats_no_more(servers: list[Server]) -> None:
    a, b, c = servers
    for server in servers:
        server.join()
    seen = a.beat().view.servers
    b.beat()

    assert a.declare_dead(*seen) == {c.me}  # and its own beat was shown as it was before
    assert c.beat().joined is None
    assert b.beat().joined is not None
    assert a.declare_dead(*seen) == frozenset()


def test_a_shard_is_taken_in_the_epoch_that_was_read_alone(servers: list[Server]) -> None:
    a, b, _ = servers

    assert a.claim((0, 0, 5 * S_NS), (1, 0, 6 * S_NS)) == [Owned(0, 1, 0), Owned(1, 1, 0)]
    assert b.claim((1, 0, 9 * S_NS), (2, 0, 9 * S_NS)) == [Owned(2, 1, 0)]

    rows = shards_of(b.join())
    assert [(row.epoch, row.owner) for row in rows] == [(1, a.me), (1, a.me), (1, b.me)]
    assert [row.tie and row.tie[:3] for row in rows] == [(0, 1, 5 * S_NS), (1, 1, 6 * S_NS), (2, 1, 9 * S_NS)]


def test_only_what_is_as_its_owner_left_it_is_given(url: str, servers: list[Server]) -> None:
    a, b, _ = servers
    a.claim((0, 0, 0), (1, 0, 0), (2, 0, 0))
    execute(url, "update timer_shard set last_place = 9 where number = 1")

    given = a.give(*(Handover(number, 1, 0, b.me if number else None, 7 * S_NS) for number in range(3)))

    assert given == {0, 2}
    rows = shards_of(b.join())
    assert [(row.epoch, row.owner) for row in rows] == [(2, None), (1, a.me), (2, b.me)]
    assert [row.tie and row.tie[:3] for row in rows] == [(0, 1, 7 * S_NS), (1, 1, 0), (2, 1, 7 * S_NS)]
    assert b.give(Handover(1, 1, 9, None, 0)) == frozenset()
    assert b.claim((2, 2, 8 * S_NS)) == [Owned(2, 3, 0)]


def test_a_session_that_holds_a_row_is_ended_and_the_shard_is_taken(url: str, servers: list[Server]) -> None:
    """Two wait for it: the one that is not first in line is let live."""
    a, b, c = servers
    with transaction(url) as hanging:
        hanging.execute("update timer_shard set last_place = 4 where number = 1")
        taken: list[Owned] = []
        waiting = threading.Thread(target=lambda: taken.extend(a.claim((0, 0, 0), (1, 0, 0), (2, 0, 0))), daemon=True)
        waiting.start()
        wait_for_lock(url)

        assert b.end_blockers_of(c) == []
        assert b.end_blockers_of(a) == [(hanging.info.backend_pid, True)]
        waiting.join(LIMIT_S)
        assert taken == [Owned(0, 1, 0), Owned(1, 1, 0), Owned(2, 1, 0)]
        with pytest.raises(psycopg.OperationalError):
            hanging.execute("select 1")
        hanging.close()


def test_behind_a_claim_that_waits_itself_the_session_for_which_that_waits_is_ended(
    url: str, servers: list[Server]
) -> None:
    """The server of the first claim may have been killed meanwhile: PostgreSQL notices that only when it answers."""
    a, b, c = servers
    taken: dict[str, list[Owned]] = {}

    def claim(name: str, server: Server) -> threading.Thread:
        claims = [(number, 0, 0) for number in range(3)]
        thread = threading.Thread(target=lambda: taken.update({name: server.claim(*claims)}), daemon=True)
        thread.start()
        return thread

    with transaction(url) as hanging:
        hanging.execute("update timer_shard set last_place = 4 where number = 1")
        first = claim("first", a)
        wait_for_lock(url)
        second = claim("second", b)
        wait_for_lock(url, sessions=2)

        assert c.end_blockers_of(b) == [(hanging.info.backend_pid, True)]
        for thread in (first, second):
            thread.join(LIMIT_S)
        assert taken == {"first": [Owned(0, 1, 0), Owned(1, 1, 0), Owned(2, 1, 0)], "second": []}
        hanging.close()


def test_dead_servers_are_forgotten_once_they_own_nothing(servers: list[Server]) -> None:
    a, b, c = servers
    for server in servers:
        server.join()
    b.claim((0, 0, 0))
    for server in (b, c):
        server.depart()

    a.run(a.session.forgetting())
    assert {row.incarnation for row in a.beat().view.servers} == {a.me, b.me}
    a.claim((0, 1, 0))
    a.run(a.session.forgetting())
    assert {row.incarnation for row in a.beat().view.servers} == {a.me}
    assert c.beat().joined is None


def test_the_format_is_raised_once_all_can_read_it_and_who_cannot_does_not_join(servers: list[Server]) -> None:
    a, b, c = servers
    a.join((FORMAT, FORMAT + 1))
    b.join((FORMAT,))

    assert not a.raise_format(FORMAT + 1)
    b.depart()
    assert a.raise_format(FORMAT + 1)
    with pytest.raises(Unfit, match=f"format {FORMAT + 1}, and this release reads {FORMAT};"):
        c.join((FORMAT,))
    c.join((FORMAT, FORMAT + 1))


def test_the_format_is_not_raised_over_one_who_joins_just_then(url: str, servers: list[Server]) -> None:
    a, _, _ = servers
    a.join((FORMAT, FORMAT + 1))
    with transaction(url) as joining:
        joining.execute("select from timer_store for share")
        raised: list[bool] = []
        raising = threading.Thread(target=lambda: raised.append(a.raise_format(FORMAT + 1)), daemon=True)
        raising.start()
        wait_for_lock(url)
        late = "insert into timer_server (incarnation, name, formats) values (gen_random_uuid(), 'late', %s)"
        joining.execute(late, ([FORMAT],))
    raising.join(LIMIT_S)

    assert raised == [False]


def test_what_is_on_one_machine_alone_is_in_doubt(url: str) -> None:
    """There is no synchronous standby here, and one is required."""
    with closing(Server(url, "a", "required")) as a:
        session, me = a.session, a.me
        doubts = [
            a.doubt(session.joining(me, "a", (FORMAT,), Told())),
            a.doubt(session.beating(me, Told())),
            a.doubt(session.claiming(me, [(0, 0, 0)])),
            a.doubt(membership.handing_over(session, me, [Handover(0, 1, 0, None, 0)])),
            a.doubt(session.declaring_dead([ServerRow(me, 1, beat=1)])),
            a.doubt(session.departing(me)),
        ]

    assert all("has no synchronous standby" in (doubt or "") for doubt in doubts)


class TestWhatDoesNotHold:
    """PostgreSQL as it is, and not as one might take it to be."""

    CHECKED_INSERT = """
        insert into timer_block (shard, last_place, last_seq, body, checksum)
        select 1, 1, 1, '', 0 where exists (select from timer_shard where number = 1 and epoch = 0)
    """

    def test_a_check_of_the_epoch_beside_an_insert_lets_a_stale_owner_write(self, url: str) -> None:
        with transaction(url) as stale:
            stale.execute(self.CHECKED_INSERT)
            execute(url, "update timer_shard set epoch = 1 where number = 1")
            taken_with = execute(url, "select count(*) from timer_block")
        assert taken_with == [(0,)]  # the new owner has read the log
        assert execute(url, "select count(*) from timer_block") == [(1,)]

    def test_a_shared_lock_lets_an_owner_that_stands_still_hold_up_a_takeover(self, url: str) -> None:
        with transaction(url) as still, transaction(url) as taker:
            still.execute("select from timer_shard where number = 1 for share")
            taker.execute("set lock_timeout = '50ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                taker.execute("update timer_shard set epoch = 1 where number = 1")

    def test_a_statement_that_takes_a_shard_and_reads_its_log_misses_the_last_commit(self, url: str) -> None:
        read: list[tuple[object, ...]] = []
        take_and_read = """
            with taken as (update timer_shard set epoch = epoch + 1 where number = 1 returning last_place)
            select taken.last_place, (select count(*) from timer_block where shard = 1) from taken
        """
        with transaction(url) as owner:
            owner.execute("update timer_shard set last_place = 1 where number = 1")
            owner.execute(self.CHECKED_INSERT)
            taking = threading.Thread(target=lambda: read.extend(execute(url, take_and_read)), daemon=True)
            taking.start()
            wait_for_lock(url)
        taking.join(LIMIT_S)

        assert read == [(1, 0)]  # its row is the newest, the log is as it was when the statement began
