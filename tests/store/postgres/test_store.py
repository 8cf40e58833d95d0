"""What only the store in PostgreSQL has: the fence, its tables, and what it says of rows that were altered."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from uuid import UUID, uuid4

import psycopg
import pytest

from drivers.builders import LOG_ID, entries_in
from postgres_store import new_place, shared_cluster
from store.postgres.waiting import begin_to_commit
from store.stores import changes, event, other, places
from timer_server.core.ledger import LogEnds
from timer_server.store.base import Anchor, Header, ShardLost, StoreAway, StoreError
from timer_server.store.postgres import schema, tables
from timer_server.store.postgres.arrays import int4_array, int8_array
from timer_server.store.postgres.database import Database
from timer_server.store.postgres.recent import RecentBlocks
from timer_server.store.postgres.restored import restored
from timer_server.store.postgres.schema import Shape
from timer_server.store.postgres.statements import RAISE, Statement
from timer_server.store.postgres.store import PostgresStore
from timer_server.store.postgres.url import parse

ME, ANOTHER = UUID(int=1), UUID(int=2)
PATIENTLY = Statement("", "set lock_timeout = 0")
"""As a session of a committer is set up."""


@contextmanager
def opened(url: str, shape: Shape | None = None, log_ids: Sequence[str] = ()) -> Iterator[Database]:
    """The database at a URL, whose new logs get these ids, or else all the same."""
    ids = iter(log_ids)
    with closing(Database(parse(url), "none")) as database:
        database.open(shape or Shape(3), lambda: next(ids, LOG_ID))
        yield database


@pytest.fixture
def url() -> str:
    """An empty place in a database."""
    return new_place("empty")


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """A store of three shards."""
    with opened(url) as made:
        yield made


def store_of(database: Database, owner: UUID = ME, number: int = 1) -> PostgresStore:
    store = PostgresStore(database, number, owner, RecentBlocks())
    store.open()
    return store


@contextmanager
def transaction(url: str) -> Iterator[psycopg.Connection]:
    """A transaction of somebody else, which ends with the block."""
    with psycopg.connect(url) as connection:
        yield connection


def logged(database: Database, number: int = 1) -> list[int]:
    """The places of all entries in a log, as its next owner finds them."""
    return places(entries_in(store_of(database, uuid4(), number)))


class TestFence:
    def test_of_two_that_believe_to_own_a_shard_the_stale_one_writes_nothing(
        self, url: str, database: Database
    ) -> None:
        stale = store_of(database)
        stale.commit(changes(event(1), event(2), event(3)))
        with opened(url) as elsewhere:
            owner = store_of(elsewhere, ANOTHER)
            owner.commit(changes(event(4)))

            for writes in (
                changes(event(4, "stale")),
                changes(obsolete=(1, 2), horizon=2),
                changes(obsolete=(1, 2, 3)),
            ):
                with pytest.raises(ShardLost, match="shard 1") as lost:
                    stale.commit(writes)
                assert lost.value.numbers == {1}

            owner.commit(changes(event(5)))
            assert owner.entry(4) == event(4)
        assert logged(database) == [1, 2, 3, 4, 5]

    def test_what_the_next_owner_has_taken_out_is_no_damage_to_the_stale_one(
        self, url: str, database: Database
    ) -> None:
        store_of(database).commit(changes(event(1), event(2)))
        stale = store_of(database)
        with opened(url) as elsewhere:
            owner = store_of(elsewhere, ANOTHER)
            owner.commit(changes(obsolete=(1, 2), horizon=2))

            with pytest.raises(ShardLost, match="another server has taken shard 1") as lost:
                stale.entry(1)
            assert lost.value.numbers == {1}
            with pytest.raises(StoreError, match="shard 1, is damaged: entry 1 is missing"):
                owner.entry(1)

    @pytest.mark.parametrize(
        "statement",
        [
            "update timer_shard set epoch = epoch + 1",
            "update timer_shard set owner = gen_random_uuid()",
            "update timer_shard set last_place = 1",
        ],
    )
    def test_each_of_epoch_owner_and_last_place_has_to_be_as_it_was_left(
        self, url: str, database: Database, statement: str
    ) -> None:
        store = store_of(database)
        with transaction(url) as somebody:
            somebody.execute(statement)

        with pytest.raises(ShardLost):
            store.commit(changes(event(1)))

    def test_one_that_waits_for_a_takeover_to_end_writes_nothing(self, url: str, database: Database) -> None:
        """Its snapshot is older than the new epoch."""
        store = store_of(database)
        database.ask(PATIENTLY)
        with transaction(url) as somebody:
            somebody.execute("update timer_shard set epoch = epoch + 1 where number = 1")
            failure, waiting = begin_to_commit(store)
            self.wait_for_lock()
        waiting.join(10)

        assert [type(error) for error in failure] == [ShardLost]
        assert logged(database) == []

    def test_one_that_waits_for_a_tie_of_the_timeline_writes(self, url: str, database: Database) -> None:
        """What else stands in the row is written by beats, meanwhile."""
        store = store_of(database)
        database.ask(PATIENTLY)
        with transaction(url) as somebody:
            somebody.execute("update timer_shard set tie_clock_ns = 5 where number = 1")
            failure, waiting = begin_to_commit(store)
            self.wait_for_lock()
        waiting.join(10)

        assert failure == []
        with transaction(url) as somebody:
            assert somebody.execute("select last_place, tie_clock_ns from timer_shard where number = 1").fetchall() == [
                (1, 5)
            ]

    def test_in_one_statement_what_is_owned_is_written_and_the_rest_is_not(self, url: str, database: Database) -> None:
        stores = [store_of(database, number=number) for number in range(3)]
        for store in stores:
            store.commit(changes(event(1)))
            store.commit(changes(event(2), event(3)))
        with opened(url) as elsewhere:
            store_of(elsewhere, ANOTHER, 1)
            commits = [store.compose([(changes(event(4), obsolete=(1, 2), horizon=2), None)]) for store in stores]

            assert [(len(commit.rewritten), commit.deleted) for commit in commits] == [(1, [1])] * 3
            assert database.commit(ME, commits) == {0, 2}
            assert [logged(elsewhere, number) for number in range(3)] == [[3, 4], [1, 2, 3], [3, 4]]

    def test_a_commit_without_an_answer_may_be_sent_again_once_the_epoch_is_raised(self, database: Database) -> None:
        store = store_of(database)
        store.commit(changes(event(1), event(2), other(3)))
        commit = store.compose([(changes(event(4, others=1), obsolete=(1,), horizon=1), None)])
        assert database.commit(ME, [commit]) == {1}  # nobody is told of it

        (row,) = database.write(RAISE, [ME.bytes, int4_array([1]), int8_array([store.epoch + 1])]).rows
        assert database.commit(ME, [commit]) == frozenset()
        store.epoch += 1
        assert int.from_bytes(row[2], "big") == store.epoch
        assert int.from_bytes(row[3], "big") == commit.state.ends.last_place  # so it is known to be done

        retention = store.compose([(changes(obsolete=(2,), horizon=2), None)])
        assert retention.last_place != commit.state.ends.last_place
        store.landed(commit)
        retention = store.compose([(changes(obsolete=(2,), horizon=2), None)])
        for _ in range(2):  # it adds no entry, so whether it was done does not show, nor matter
            assert database.commit(ME, [retention]) == {1}
        assert logged(database) == [3, 4]

    def test_a_row_that_is_held_for_long_is_not_taken(self, url: str, database: Database) -> None:
        """A session whose client is gone may hold it for ever; another one is not to wait behind it."""
        with transaction(url) as somebody:
            somebody.execute("select * from timer_shard where number = 1 for update")
            with pytest.raises(StoreAway, match="another session holds it"):
                store_of(database)

    def wait_for_lock(self) -> None:
        primary = shared_cluster().primary
        for _ in range(500):
            if primary.execute("select 1 from pg_stat_activity where wait_event_type = 'Lock'"):
                return
            primary.execute("select pg_sleep(0.01)")
        raise AssertionError("nobody waits")


class TestReads:
    def test_what_was_committed_lately_is_read_without_the_database(self, database: Database) -> None:
        store = store_of(database)
        store.commit(changes(*(event(place) for place in range(1, 100))))
        store.commit(changes(obsolete=(40, 41), horizon=41))
        database.close()

        assert store.entry(50) == event(50)
        assert [place for block in store.blocks_after_seq(90) for place in places(block.entries)][-9:] == [
            *range(91, 100)
        ]

    def test_what_is_older_is_read_from_it_up_to_what_is_in_memory(self, database: Database) -> None:
        recent = RecentBlocks(most_bytes=6_000)
        store = PostgresStore(database, 1, ME, recent)
        store.open()
        for place in range(1, 200):
            store.commit(changes(event(place, others=0)))
        store.commit(changes(obsolete=(7, 8, 150, 198), horizon=198))

        kept = [place for place in range(1, 200) if place not in {7, 8, 150, 198}]
        for after in (0, 6, 7, 8, 100, 197, 198, 199):
            found = [place for block in store.blocks_after(after) for place in places(block.entries)]
            assert found == [place for place in kept if place > after]
            assert found == [place for block in store.blocks_after_seq(after) for place in places(block.entries)]
        assert places(entries_in(store)) == kept

    def test_what_is_not_known_to_be_durable_is_not_read(self, database: Database) -> None:
        store = store_of(database)
        store.commit(changes(event(1)))
        database.commit(ME, [store.compose([(changes(event(2)), None)])])

        assert [places(block.entries) for block in store.blocks_after(0)] == [[1]]
        with pytest.raises(StoreError, match="entry 2 is missing"):
            store.entry(2)

    def test_while_it_is_away_reads_fail_at_once(self, database: Database) -> None:
        store = store_of(database)
        store.commit(changes(event(1)))
        store = store_of(database)
        database.close()

        with pytest.raises(StoreAway, match="is away"):
            store.entry(1)
        database.reconnect()
        assert store.entry(1) == event(1)


class TestTables:
    def test_a_new_store_has_the_shape_that_was_asked_for(self, url: str) -> None:
        with opened(url, Shape(5, 3_000), ["a", "b", "c", "d", "e"]) as database:
            assert [store_of(database, number=number).open().log_id for number in range(5)] == ["a", "b", "c", "d", "e"]
        with opened(url, Shape(16, 2_000)) as database:
            assert database.shape == Shape(5, 3_000)

    def test_of_two_that_start_at_once_one_makes_the_tables(self, url: str) -> None:
        results: list[bool | StoreError] = []

        def start() -> None:
            with closing(Database(parse(url), "none")) as database:
                try:
                    results.append(database.open(Shape(2), lambda: "log"))
                except StoreError as error:
                    results.append(error)

        starting = [threading.Thread(target=start) for _ in range(4)]
        for thread in starting:
            thread.start()
        for thread in starting:
            thread.join(20)
        assert sorted(map(str, results)) == ["False", "False", "False", "True"]

    def test_what_a_newer_server_needs_is_added_and_stays_usable_for_the_older_one(
        self, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with opened(url) as database:
            store_of(database).commit(changes(event(1)))
        monkeypatch.setattr(
            tables, "MIGRATIONS", (*schema.MIGRATIONS, ("alter table timer_store add column news text",))
        )
        monkeypatch.setattr(tables, "NUMBER", 2)
        with opened(url) as database:
            assert logged(database) == [1]
        monkeypatch.undo()
        with transaction(url) as somebody:
            assert somebody.execute("select schema, news from timer_store").fetchall() == [(2, None)]
        with opened(url) as database:
            assert logged(database) == [1]

    def test_a_lock_that_is_held_for_long_is_no_reason_to_wait(self, url: str) -> None:
        with transaction(url) as somebody:
            somebody.execute("select pg_advisory_xact_lock(hashtext('timer_store'))")
            with pytest.raises(StoreAway, match="another session holds it"), opened(url):
                pass

    @pytest.mark.parametrize(
        ("statement", "said"),
        [
            (
                "update timer_store set oldest_release = '99.0.0', schema = 7",
                r"\(schema 7\) are for timer-server 99.0.0 or newer, .*; run that version",
            ),
            ("update timer_store set format = 2", r"written in format 2, and this release reads 1; run a newer"),
            ("update timer_store set created_by = 'egg'", "timer_store is of another program; name another database"),
            ("alter table timer_store rename column lease_ms to egg", "is of another program"),
            ("drop table timer_store", "timer_block is of another program"),
            ("drop table timer_server", "is damaged: it has no table timer_server; restore a backup"),
            ("delete from timer_store", "is damaged: its table timer_store is empty"),
            ("delete from timer_shard where number = 2", "is damaged: it has 2 shards, and should have 3"),
        ],
    )
    def test_others_are_refused_and_left_alone(self, url: str, statement: str, said: str) -> None:
        with opened(url):
            pass
        with transaction(url) as somebody:
            somebody.execute(statement)

        with pytest.raises(StoreError, match=said) as refusal, opened(url):
            pass
        assert not isinstance(refusal.value, StoreAway)
        assert str(refusal.value).isprintable()


class TestDamage:
    @pytest.fixture
    def store(self, database: Database) -> PostgresStore:
        """A log with some events, the first of which is old, and each in a block of its own."""
        store = store_of(database)
        for place in range(1, 10):
            store.commit(changes(event(place, f"id/{place}")))
        store.commit(changes(obsolete=(2, 3), horizon=3))
        return store

    @pytest.mark.parametrize(
        ("statement", "found"),
        [
            ("update timer_block set body = substr(body, 1, 8) || '\\x00' where last_place = 5", "up to 5"),
            ("update timer_block set body = '' where last_place = 5", "up to 5"),
            ("update timer_block set checksum = checksum + 1 where last_place = 5", "up to 5"),
            ("update timer_block set last_place = 10 where last_place = 9", "up to 10"),
            ("update timer_block set last_place = -1 where last_place = 9", "ends at entry 8"),
            ("update timer_block set last_seq = 8 where last_place = 9", "up to 9"),
            ("update timer_block set shard = 2 where last_place = 5", "entry 5 is missing"),
            ("delete from timer_block where last_place = 1", "holds 6 entries, and should hold 7"),
            ("delete from timer_block where last_place = 6", "entry 6 is missing"),
            ("delete from timer_block where last_place = 9", "ends at entry 8"),
            ("delete from timer_block", "ends at entry 3"),
            ("update timer_shard set state = ''", "header"),
            ("update timer_shard set checksum = -1", "header"),
            ("update timer_shard set log_id = 'another'", "does not fit its header"),
            ("update timer_shard set last_place = 8", "does not fit its header"),
            ("delete from timer_shard where number = 1", "shard 1 is missing"),
        ],
    )
    def test_altered_rows_are_refused(self, url: str, store: PostgresStore, statement: str, found: str) -> None:
        with transaction(url) as somebody:
            somebody.execute(statement)

        with pytest.raises(StoreError, match=r", shard 1, is damaged: .*; restore a backup") as refusal:
            entries_in(store_of(store.database))
        assert found in str(refusal.value)
        assert str(refusal.value).isprintable()

    def test_one_that_is_altered_while_the_server_runs(self, url: str, store: PostgresStore) -> None:
        store = store_of(store.database)
        with transaction(url) as somebody:
            somebody.execute("update timer_block set body = '\\x00' where last_place = 5")

        assert store.entry(4) == event(4, "id/4")
        for read in (
            lambda: list(store.blocks_after(3)),
            lambda: list(store.blocks_after_seq(3)),
            lambda: store.entry(5),
        ):
            with pytest.raises(StoreError, match="up to 5"):
                read()

    @pytest.mark.parametrize("table", ["timer_block", "timer_shard"])
    def test_a_table_that_is_gone_is_a_sentence(self, url: str, store: PostgresStore, table: str) -> None:
        with transaction(url) as somebody:
            somebody.execute(f"drop table {table}")

        with pytest.raises(StoreError, match=rf"cannot write .*{table}.* \(SQLSTATE 42P01\); restore"):
            store.commit(changes(event(10)))


class TestRestored:
    def test_every_log_goes_on_under_a_new_id_behind_what_it_holds(self, url: str) -> None:
        with opened(url, log_ids=["a", "b", "c"]) as database:
            store = store_of(database)
            store.commit(changes(event(1), event(2)), Anchor("a boot", 1, 2, 3))
            renamed = restored(database, iter(["d", "e", "f"]).__next__)

            assert [(before.log_id, after.log_id, dict(after.ancestors)) for before, after in renamed] == [
                ("a", "d", {"a": 0}),
                ("b", "e", {"b": 2}),
                ("c", "f", {"c": 0}),
            ]
            with pytest.raises(ShardLost):
                store.commit(changes(event(3)))
            header = Header("e", LogEnds(0, 0, 2, 2), 2000, Anchor("a boot", 1, 2, 3), {"b": 2})
            assert PostgresStore(database, 1, ME, RecentBlocks()).open() == header

    @pytest.mark.parametrize("statement", ["delete from timer_block where last_place = 2", "drop table timer_block"])
    def test_a_copy_that_is_damaged_is_left_as_it_is(self, url: str, statement: str) -> None:
        with opened(url) as database:
            store_of(database).commit(changes(event(1), event(2)))
            with transaction(url) as somebody:
                somebody.execute(statement)

            with pytest.raises(StoreError, match="is damaged"):
                restored(database, lambda: "new")
        with transaction(url) as somebody:
            assert somebody.execute("select distinct log_id from timer_shard").fetchall() == [(LOG_ID,)]

    def test_there_has_to_be_something_and_nobody_who_uses_it(self, url: str) -> None:
        with closing(Database(parse(url), "none")) as database:
            with pytest.raises(StoreError, match="holds no timers"):
                restored(database, lambda: "new")
            with transaction(url) as somebody:
                assert somebody.execute("select to_regclass('timer_store')").fetchall() == [(None,)]
            database.open(Shape(1), lambda: "log")
            with pytest.raises(StoreError, match="holds nothing that could have been restored"):
                restored(database, lambda: "new")
