"""webhooks.db: the last attempts and how endpoints stand, and that it may be lost."""

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from timer_webhooks import database as module
from timer_webhooks.database import Database, DatabaseError, Try
from timer_webhooks.standing import Standing


def attempt(number: int, endpoint: str = "it", outcome: str = "delivered") -> Try:
    return Try(number, endpoint, f"end_{number}", f"hook/{number}", 1, outcome, "answered 204", 12)


def test_the_last_attempts_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TRIES_KEPT", 5)
    path = tmp_path / "webhooks.db"
    with closing(Database(path)) as database:
        for number in range(8):
            database.note_try(attempt(number, "it" if number % 2 else "other", "delivered" if number < 6 else "broken"))
        assert [one.at_ms for one in database.tries(100)] == [3, 4, 5, 6, 7]
        assert [one.at_ms for one in database.tries(2)] == [6, 7]
        assert [one.at_ms for one in database.tries(100, "it")] == [3, 5, 7]
        assert [one.at_ms for one in database.tries(100, "it", only_failed=True)] == [7]
        assert database.tries(1) == [attempt(7, "it", "broken")]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_how_an_endpoint_stands_is_there_again(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "webhooks.db")) as database:
        assert database.standing("it") == Standing()
        database.note_standing("it", Standing(1))
        database.note_standing("it", Standing(1, 2, "gone"))
    with closing(Database(tmp_path / "webhooks.db")) as database:
        assert database.standing("it") == Standing(1, 2, "gone")
        assert database.standing("other") == Standing()


def test_what_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "webhooks.db").write_bytes(b"no database" * 100)
    with pytest.raises(DatabaseError, match=r"not a database\. It may be removed: no end is lost"):
        Database(tmp_path / "webhooks.db")
    with pytest.raises(DatabaseError, match="No such file"):
        Database(tmp_path / "missing" / "webhooks.db")
    with closing(Database(tmp_path / "newer.db")) as database:
        database._connection.execute("PRAGMA user_version = 2")
    with pytest.raises(DatabaseError, match=r"of a newer timer-webhooks: use that one, or remove the file"):
        Database(tmp_path / "newer.db")


@pytest.mark.parametrize(
    "identity", ["PRAGMA user_version = 1", "PRAGMA application_id = 7", "CREATE TABLE theirs (x)"]
)
def test_the_database_of_another_program_is_left_as_it_is(tmp_path: Path, identity: str) -> None:
    path = tmp_path / "theirs.db"
    with closing(sqlite3.connect(path)) as theirs:
        theirs.execute(identity)
        theirs.commit()
    before = path.read_bytes()
    with pytest.raises(DatabaseError, match=r"theirs\.db is the database of another program"):
        Database(path)
    assert path.read_bytes() == before


def test_where_the_disk_is_full_it_begins_and_says_so(tmp_path: Path) -> None:
    Database(tmp_path / "webhooks.db").close()
    with closing(Database(tmp_path / "webhooks.db")) as database:
        assert database.standing("it") == Standing()
        assert not (tmp_path / "webhooks.db-wal").stat().st_size, "it has written"
        database._connection.execute("PRAGMA max_page_count = 1")
        with pytest.raises(DatabaseError, match=r"webhooks\.db cannot be used: database or disk is full$"):
            database.note_standing("it", Standing(1, 2, "x" * 10_000))


def test_two_senders_do_not_share_one(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "webhooks.db")) as one, closing(Database(tmp_path / "webhooks.db")) as other:
        with one.sole_sender():
            with pytest.raises(DatabaseError, match=r"another timer-webhooks sends with .*webhooks\.db: end it, or"):
                other.sole_sender().__enter__()
            other.note_standing("it", Standing(1))  # as the commands do
        with other.sole_sender():
            assert one.standing("it") == Standing(1)
