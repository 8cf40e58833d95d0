"""The mark: how far the log was acknowledged, told to whoever opens it next."""

from pathlib import Path

import pytest

from drivers.builders import LOG_ID, entries_in
from store.stores import changes, event, places, sqlite_store
from timer_server.store.base import StoreError
from timer_server.store.integrity import Damage
from timer_server.store.sqlite.mark import Mark, MarkFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "timers.db"


@pytest.fixture
def mark_path(path: Path) -> Path:
    return path.with_name("timers.db-mark")


def grow(path: Path, *place: int, log_id: str = LOG_ID) -> None:
    """Opens the store, commits events one by one, and closes it."""
    store = sqlite_store(path, log_id)
    store.open()
    for number in place:
        store.commit(changes(event(number)))
    store.close()


def opened(path: Path) -> tuple[list[int], tuple[object, ...]]:
    """The events of a store, and why its mark was set anew."""
    store = sqlite_store(path)
    try:
        header = store.open()
        assert all(notice.is_warning for notice in header.notices)
        return places(entries_in(store)), tuple(notice.figures["reason"] for notice in header.notices)
    finally:
        store.close()


class TestFile:
    def test_what_was_written_is_read(self, tmp_path: Path) -> None:
        file = MarkFile(tmp_path / "mark")
        assert file.read() is None

        file.open(Mark(LOG_ID, 1, 2))
        file.write(2**60, 2**63)

        assert file.read() == Mark(LOG_ID, 2**60, 2**63)
        file.close()
        assert file.read() == Mark(LOG_ID, 2**60, 2**63)

    @pytest.mark.parametrize("content", [b"", b"something else", b"\0" * 32, b"x" * 32, b"x" * 5000])
    def test_something_else_is_told_apart_and_replaced(self, tmp_path: Path, content: bytes) -> None:
        file = MarkFile(tmp_path / "mark")
        file.path.write_bytes(content)
        with pytest.raises(Damage):
            file.read()

        file.open(Mark(LOG_ID, 1, 2))

        assert file.read() == Mark(LOG_ID, 1, 2)
        file.close()


class TestOpening:
    def test_a_log_that_ends_before_its_mark_is_refused_until_the_mark_is_gone(
        self, path: Path, mark_path: Path
    ) -> None:
        grow(path, 1, 2)
        copy = path.read_bytes()
        grow(path, 3, 4)
        path.write_bytes(copy)

        for _ in range(2):
            with pytest.raises(StoreError, match=r"\(entry 2\), but .* \(entry 4\) had been acknowledged") as refusal:
                opened(path)
            assert "run `timer-server restored` once" in str(refusal.value)
        mark_path.unlink()

        assert opened(path) == ([1, 2], ("it was missing",))
        assert opened(path) == ([1, 2], ())

    def test_a_commit_without_events_counts_too(self, path: Path) -> None:
        """It may have been the anchor, and with that all deadlines."""
        grow(path, 1)
        copy = path.read_bytes()
        store = sqlite_store(path)
        store.open()
        store.commit(changes(obsolete=(1,), horizon=1))
        store.close()
        path.write_bytes(copy)

        with pytest.raises(StoreError, match="acknowledged"):
            opened(path)

    def test_a_mark_that_says_too_little_is_none_of_its_faults(self, path: Path, mark_path: Path) -> None:
        """As after a loss of power: it is never synced."""
        grow(path, 1, 2)
        mark = mark_path.read_bytes()
        grow(path, 3, 4)
        mark_path.write_bytes(mark)

        assert opened(path) == ([1, 2, 3, 4], ())
        assert mark_path.read_bytes() != mark

    @pytest.mark.parametrize("content", [b"", b"x" * 32, bytes(4096)])
    def test_garbage_in_its_place_is_replaced_with_a_notice(self, path: Path, mark_path: Path, content: bytes) -> None:
        grow(path, 1, 2)
        mark_path.write_bytes(content)

        assert opened(path) == ([1, 2], ("it is no mark",))
        assert opened(path) == ([1, 2], ())

    def test_the_mark_of_another_store_is_replaced_with_a_notice(self, path: Path, mark_path: Path) -> None:
        grow(path, 1, 2)
        other = path.with_name("other.db")
        grow(other, *range(1, 10), log_id="another one")
        mark_path.write_bytes(other.with_name("other.db-mark").read_bytes())

        assert opened(path) == ([1, 2], ("it belongs to another store",))

    def test_a_new_store_has_nothing_to_say(self, path: Path, mark_path: Path) -> None:
        assert opened(path) == ([], ())
        assert mark_path.exists()

    def test_a_mark_that_cannot_be_written_is_a_store_error(self, path: Path, mark_path: Path) -> None:
        grow(path, 1)
        mark_path.unlink()
        mark_path.mkdir()

        with pytest.raises(StoreError, match=f"cannot open {mark_path}: it is a folder"):
            opened(path)


class TestCommitting:
    def test_every_commit_moves_the_mark(self, path: Path, mark_path: Path) -> None:
        store = sqlite_store(path)
        store.open()
        told = []
        for place in (1, 2, 3):
            store.commit(changes(event(place)))
            mark = MarkFile(mark_path).read()
            assert mark is not None
            told.append((mark.commits, mark.place))
        store.close()

        assert told == [(1, 1), (2, 2), (3, 3)]

    def test_a_commit_that_failed_does_not_move_it(self, path: Path, mark_path: Path) -> None:
        store = sqlite_store(path)
        store.open()
        store.commit(changes(event(1)))
        before = mark_path.read_bytes()

        with pytest.raises(StoreError):
            store.commit(changes(event(1)))

        store.close()
        assert mark_path.read_bytes() == before

    def test_a_commit_whose_mark_fails_is_not_acknowledged(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        store = sqlite_store(path)
        store.open()

        def fail(*_: object) -> None:
            raise OSError(28, "No space left on device", "the mark")

        with monkeypatch.context() as patch:
            patch.setattr(MarkFile, "write", fail)
            with pytest.raises(StoreError, match="cannot write the mark: No space left on device"):
                store.commit(changes(event(1)))
        store.close()

        assert opened(path) == ([1], ())
