"""Stores of earlier servers: taken over whole in one transaction, or left as they were."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from store.stores import changes, event, seqs
from timer_server.core.model import Timer
from timer_server.store import version_1, version_2
from timer_server.store.base import Anchor, Header, Notice, StoreError
from timer_server.store.sqlite.store import SqliteStore
from timer_server.store.state import LogState, state_to_row

DUMPS = {version: Path(__file__).with_name(f"version_{version}.sql") for version in (1, 2)}
"""The same log, as servers of earlier versions wrote it."""
ANCHOR = Anchor("3c0a3e4c-5b0f-4d3f-9d52-6f0d7a7c1f11", 5 * 10**9, 17 * 10**17, 17 * 10**17)
YEAR = ("old", "runs for a year", 9000, 0, 0)


def restore(version: int, folder: Path) -> Path:
    """A store as an earlier server left it: pruned up to event 5, with one old row of a paused timer."""
    database = folder / "timers.db"
    with sqlite3.connect(database) as connection:
        connection.executescript(DUMPS[version].read_text())
        connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    return database


@pytest.fixture(params=DUMPS, ids=lambda version: f"version {version}")
def version(request: pytest.FixtureRequest) -> int:
    """Each earlier version."""
    found: int = request.param
    return found


@pytest.fixture
def path(version: int, tmp_path: Path) -> Path:
    """A store of an earlier version."""
    return restore(version, tmp_path)


def version_of(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()
    return version


def read(path: Path) -> tuple[Header, list[Timer]]:
    store = SqliteStore(path)
    try:
        return store.open(), list(store.load())
    finally:
        store.close()


def test_everything_of_an_earlier_version_is_kept(version: int, path: Path) -> None:
    header, events = read(path)

    assert header == Header(
        5, 14, 1_700_172_805_000, ANCHOR, (Notice("store upgraded", {"from": version, "to": 3, "events": 10}),)
    )
    assert seqs(events) == [4, *range(6, 15)]
    assert [event.kind for event in events[-3:]] == ["fired", "started", "restarted"]
    paused, long_label, _, extended = events[:4]
    assert paused == Timer(
        None, 4, 1, 1_700_000_000_000, 1000, "long/paused", "", 0, 90, 0, 5_400_000, 5_399_000, 2, None, b"null"
    )
    assert (paused.kind, paused.state, paused.at_ms, paused.ended_at_ms) == (
        "paused",
        "paused",
        1_700_000_001_000,
        None,
    )
    assert (long_label.label, long_label.payload) == ("Küche ☕", '{"a": [1, 2.5, "ü"]}'.encode())
    assert [repr(amount) for amount in (long_label.hours, long_label.minutes, long_label.seconds)] == [
        "0",
        "1.5",
        "0.25",
    ]
    assert extended == Timer(
        1_732_399_760_000, 8, 3, 1_700_000_000_000, 172_800_000, *YEAR, 32_399_760_000, 0, 3,
        ("first key", '"quoted", ü'), b"null",
    )  # fmt: skip
    short = events[7]
    assert (short.kind, short.state, short.at_ms, short.ended_at_ms) == (
        "fired",
        "fired",
        1_700_172_803_000,
        1_700_172_803_000,
    )


def test_an_upgraded_store_is_like_any_other(path: Path) -> None:
    first = read(path)
    store = SqliteStore(path)
    header = store.open()
    assert header == first[0]._replace(notices=())
    assert list(store.load()) == first[1]
    store.commit(changes(event(15), obsolete=(4,), horizon=5))
    store.close()

    assert seqs(read(path)[1]) == list(range(6, 16))
    assert version_of(path) == 3
    with sqlite3.connect(path) as connection:
        tables = connection.execute("SELECT name FROM sqlite_schema ORDER BY name").fetchall()
    connection.close()
    assert tables == [("blocks",), ("header",)]


def test_a_store_of_version_1_that_was_pruned_empty(tmp_path: Path) -> None:
    path = restore(1, tmp_path)
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM events")
        connection.execute("UPDATE header SET horizon = 14, boot_id = NULL")
    connection.close()

    header, events = read(path)

    assert (header.horizon, header.last_seq, header.anchor, events) == (14, 14, None, [])


def test_a_store_of_version_1_that_was_pruned_to_one_old_row(tmp_path: Path) -> None:
    path = restore(1, tmp_path)
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM events WHERE seq > 4")
        connection.execute("UPDATE header SET horizon = 14")
    connection.close()

    header, events = read(path)

    assert (header.horizon, header.last_seq, seqs(events)) == (14, 14, [4])


def test_an_upgrade_that_is_interrupted_changes_nothing(
    version: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = {1: version_1, 2: version_2}[version]
    read_events = reader.read_events

    def break_off(database: sqlite3.Connection) -> Iterator[Timer]:
        with closing(read_events(database)) as events:
            yield next(events)
            yield next(events)
        raise OSError(5, "Input/output error")

    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(reader, "read_events", break_off)
        with pytest.raises(StoreError, match="Input/output error"):
            read(path)
    assert path.read_bytes() == before
    assert version_of(path) == version

    assert seqs(read(path)[1]) == [4, *range(6, 15)]


def test_the_last_moment_of_a_log_whose_last_events_were_pruned_is_kept(tmp_path: Path) -> None:
    """It is what time does not go back behind."""
    path = restore(2, tmp_path)
    with sqlite3.connect(path) as connection:
        (body,) = connection.execute("SELECT body FROM header").fetchone()
        state = msgspec.structs.replace(msgspec.msgpack.decode(body, type=LogState), held=1, horizon=14)
        connection.execute("DELETE FROM events WHERE seq > 4")
        connection.execute("UPDATE header SET body = ?, checksum = ?", state_to_row(state))
    connection.close()

    header, events = read(path)

    assert seqs(events) == [4]
    assert (header.last_seq, header.last_at_ms) == (14, 1_700_172_805_000)


@pytest.mark.parametrize(
    ("version", "statement", "found"),
    [
        (1, "UPDATE events SET hours = 'many' WHERE seq = 8", "event 8 cannot be read"),
        (1, "UPDATE events SET state = 'asleep' WHERE seq = 8", "event 8 cannot be read"),
        (1, "UPDATE events SET keys = '[' WHERE seq = 8", "event 8 cannot be read"),
        (1, "UPDATE events SET keys = X'FF' WHERE seq = 8", "event 8 cannot be read"),
        (1, "UPDATE events SET keys = 7 WHERE seq = 8", "event 8 cannot be read"),
        (1, "UPDATE events SET due_at_ms = 'soon' WHERE seq = 8", "event 8 cannot be read"),
        (1, "UPDATE events SET label = CAST(X'FF' AS TEXT) WHERE seq = 8", "it holds text that is not UTF-8"),
        (1, "UPDATE header SET horizon = 'far'", "its header cannot be read"),
        (1, "UPDATE header SET boot_ns = NULL", "its header cannot be read"),
        (1, "UPDATE events SET at_ms = started_at_ms - 1 WHERE seq = 8", "the events up to"),
        (1, "UPDATE events SET due_at_ms = -5 WHERE seq = 8", "the events up to"),
        (1, "DELETE FROM header", "its header is missing"),
        (1, "DROP TABLE header", "no such table"),
        (
            2,
            "UPDATE events SET body = CAST(substr(body, 1, 8) || X'00' AS BLOB) WHERE seq = 8",
            "event 8 does not match",
        ),
        (2, "UPDATE events SET checksum = 1 WHERE seq = 8", "event 8 does not match"),
        (2, "UPDATE events SET id = 'id/6' WHERE seq = 8", "event 8 holds what was written as event 8 of old"),
        (2, "UPDATE events SET seq = 15 WHERE seq = 14", "event 15 holds what was written as event 14"),
        (2, "DELETE FROM events WHERE seq = 8", "event 8 is missing"),
        (2, "DELETE FROM events WHERE seq = 4", "it holds 9 events, and should hold 10"),
        (2, "UPDATE header SET checksum = 1", "its header does not match its checksum"),
        (2, "DELETE FROM header", "its header is missing"),
        (2, "DROP TABLE header", "no such table"),
    ],
)
def test_one_that_cannot_be_read_is_refused_and_left_as_it_is(
    version: int, path: Path, statement: str, found: str
) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()
    before = path.read_bytes()

    with pytest.raises(StoreError, match=f"is damaged: .*{found}"):
        read(path)

    assert path.read_bytes() == before
    assert version_of(path) == version
