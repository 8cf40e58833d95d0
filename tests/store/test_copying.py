"""A copy of a store in use is the log at one commit, whatever is added and removed while it is read."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from drivers.builders import entries_in
from drivers.file_damage import dice
from store.stores import changes, event, sqlite_store
from timer_server.core.model import Entry
from timer_server.store.blocks import Row, entries_of
from timer_server.store.copied import CopyLost
from timer_server.store.integrity import verify_complete
from timer_server.store.sqlite import copying
from timer_server.store.sqlite.store import SqliteStore
from timer_server.store.state import HeaderRow, row_to_state

SLICE_BYTES = 3_000
"""Two blocks or three."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """An open store of 300 entries in blocks of ten."""
    opened = sqlite_store(tmp_path / "timers.db")
    opened.open()
    for first in range(1, 300, 10):
        opened.commit(
            changes(*(event(place, f"id/{place}", payload=b'"%040d"' % place) for place in range(first, first + 10)))
        )
    yield opened
    opened.close()


def all_entries(header: HeaderRow, slices: list[list[Row]]) -> list[Entry]:
    """The entries of a copy, which are all that its header tells of."""
    state = row_to_state(header)
    blocks = map(entries_of, chain.from_iterable(slices))
    return list(chain.from_iterable(verify_complete(blocks, state.held, state.ends)))


def copied(store: SqliteStore) -> list[list[Row]]:
    """What is left of a copy, in slices."""
    return list(iter(lambda: store.copy_on(SLICE_BYTES), []))


@pytest.mark.parametrize("seed", range(8))
def test_is_the_log_as_it_was_when_it_began(store: SqliteStore, seed: int) -> None:
    chance = dice(seed)
    held, last = set(range(1, 301)), 300

    def go_on() -> None:
        """A commit that adds some entries, and removes some of all that retention has passed."""
        nonlocal last
        gone = chance.sample(sorted(held), min(chance.choice([0, 1, 3, 20]), len(held)))
        added = range(last + 1, last + chance.randint(0, 5) + 1)
        last += len(added)
        store.commit(changes(*(event(place) for place in added), obsolete=tuple(gone), horizon=300))
        held.difference_update(gone)

    for _ in range(3):
        go_on()
    expected, header, slices = entries_in(store), store.begin_copy(), list[list[Row]]()
    go_on()
    while rows := store.copy_on(SLICE_BYTES):
        slices.append(rows)
        for _ in range(chance.randint(0, 4)):
            go_on()
    store.end_copy()

    assert all_entries(header, slices) == expected
    assert all(sum(len(row[2]) for row in rows[:-1]) < SLICE_BYTES for rows in slices)
    assert {entry.place for entry in entries_in(store)} >= held


def test_of_a_new_store_has_nothing_in_it(tmp_path: Path) -> None:
    store = sqlite_store(tmp_path / "new.db")
    store.open()

    header = store.begin_copy()
    store.commit(changes(event(1)))

    assert all_entries(header, copied(store)) == []
    store.close()


def test_what_was_read_is_kept_no_longer_and_nothing_once_the_copy_has_ended(store: SqliteStore) -> None:
    """Removing all of the log in front of the copy, again and again, never adds up to more than there is of it."""
    store.begin_copy()
    copy = store._copy
    assert copy is not None
    store.commit(changes(obsolete=tuple(range(1, 301)), horizon=300))
    whole_bytes = copy._kept_bytes
    assert whole_bytes > 0

    assert sum(map(len, copied(store))) == 30
    assert (copy._kept_bytes, copy._kept, copy._kept_places) == (0, {}, [])

    store.end_copy()
    store.begin_copy()
    assert copied(store) == []


def test_is_lost_where_too_much_would_have_to_be_kept_and_the_store_goes_on(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "KEPT_BYTES", 10_000)
    store.begin_copy()
    assert store.copy_on(SLICE_BYTES)
    store.commit(changes(obsolete=tuple(range(1, 101)), horizon=300))
    assert store.copy_on(SLICE_BYTES)

    store.commit(changes(obsolete=tuple(range(101, 300)), horizon=300))
    assert store._copy is not None
    assert store._copy._kept == {}
    with pytest.raises(CopyLost, match="read faster"):
        store.copy_on(SLICE_BYTES)

    store.end_copy()
    store.commit(changes(event(301), horizon=300))
    assert [entry.place for entry in entries_in(store)] == [300, 301]
