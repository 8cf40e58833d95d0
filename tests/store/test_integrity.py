"""What is checked of a log's rows, one at a time and all together."""

import sqlite3
from collections.abc import Iterator, Sequence

import pytest
from msgspec import msgpack

from drivers.builders import LOG_ID
from store.stores import event, other
from timer_server.core.entries import QueueEntry
from timer_server.core.ledger import LogEnds
from timer_server.core.model import Entry, as_logged
from timer_server.core.records import pack
from timer_server.store.blocks import entries_of, entry_in, parts_of, to_row, without
from timer_server.store.integrity import Damage, UnknownEntry, checksum_of, verify_complete
from timer_server.store.sqlite.sentences import one_line
from timer_server.store.state import LogState, row_to_state, state_to_row

Log = list[int | tuple[int, int] | tuple[int, int, int] | QueueEntry]


def entries_at(log: Log) -> Iterator[Entry]:
    """Events at these places; how many others are before one and where its spec stands may follow."""
    for entry in log:
        if isinstance(entry, QueueEntry):
            yield entry
            continue
        place, others, spec_place = (*(entry if isinstance(entry, tuple) else (entry,)), 0, 0)[:3]
        yield as_logged(event(place, others=others, spec_place=spec_place))


def as_read(entries: list[Entry]) -> Sequence[Entry]:
    """Entries as a store reads them, in columns where they are first starts."""
    return parts_of(to_row(entries[-1].place, entries[-1].seq, list(map(pack, entries))))


@pytest.mark.parametrize(
    ("found", "ends"),
    [
        ([], LogEnds()),
        ([], LogEnds(7, 7, 7, 7)),
        ([1, 2, 3], LogEnds(0, 0, 3, 3)),
        ([2, 5, 8, 9], LogEnds(7, 7, 9, 9)),
        ([2, 5], LogEnds(7, 7, 7, 7)),
        ([2, 5], LogEnds(7, 4, 7, 4)),
        ([2, 5, (8, 3), (9, 3)], LogEnds(7, 4, 9, 6)),
        ([2, other(5, 3), other(8, 4), (9, 4), other(10, 5), other(11, 6)], LogEnds(7, 4, 11, 5)),
        ([other(1, 1), other(2, 2)], LogEnds(0, 0, 2, 0)),
        ([other(1, 1), 2], LogEnds(7, 1, 7, 1)),
        ([(2, 0, 2), (3, 0, 2), 5, (8, 0, 2), (9, 0, 9)], LogEnds(7, 7, 9, 9)),
    ],
)
def test_a_complete_log_passes(found: Log, ends: LogEnds) -> None:
    entries = list(entries_at(found))

    for size in (1, 2, 32):
        blocks = [entries[start : start + size] for start in range(0, len(entries), size)]
        assert list(verify_complete(blocks, len(found), ends)) == blocks
        in_columns = list(map(as_read, blocks))
        assert list(map(list, verify_complete(in_columns, len(found), ends))) == blocks


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([2, 5, 9], "entry 8 is missing, entry 9 stands in its place"),
        ([2, 5, 8, 10], "entry 9 is missing, entry 10 stands in its place"),
        ([2, 5, 8, 8], "entry 9 is missing, entry 8 stands in its place"),
        ([5, 2, 8, 9], "entry 2 stands after entry 5"),
        ([2, 2, 8, 9], "entry 2 stands after entry 2"),
        ([2, 8, 5, 9], "entry 5 stands after entry 8"),
        ([2, 5, 8], "it ends at entry 8, and should end at 9"),
        ([2, 5, 8, 9, 10], "it ends at entry 10, and should end at 9"),
        ([2, 5], "it ends at entry 7, and should end at 9"),
        ([2, 5, 8, (9, 1)], "entry 9 tells of 1 that are no events, and should tell of 0"),
        ([2, 5, 8, other(9, 0)], "entry 9 tells of 0 that are no events, and should tell of 1"),
        ([2, 5, other(8, 1), 9], "entry 9 tells of 0 that are no events, and should tell of 1"),
        ([2, 5, 8, other(9, 1)], "it ends at event 8, and should end at 9"),
        ([2, 5, other(9, 1)], "entry 8 is missing, entry 9 stands in its place"),
        ([2, 8, 9], "it holds 3 entries, and should hold 4"),
        ([2, 3, 5, 8, 9], "it holds 5 entries, and should hold 4"),
        ([2, 5, 8, (9, 0, 1)], "entry 1 is missing, to which entry 9 refers"),
        ([2, 5, (8, 0, 2), 9], "entry 2 is missing, to which entry 8 refers"),
        ([2, (5, 0, 8), (8, 0, 8), 9], "entry 8 is missing, to which entry 5 refers"),
    ],
)
def test_any_other_is_told_from_it(found: Log, said: str) -> None:
    """It should be 2, 5, 8, 9 with the horizon at 7. A spec stands before what refers to it, and nothing else does."""
    entries = list(entries_at(found))
    whole, single = [entries], [[entry] for entry in entries]
    for blocks in (whole, single, list(map(as_read, whole)), list(map(as_read, single))):
        with pytest.raises(Damage, match=said):
            list(verify_complete(blocks, 4, LogEnds(7, 7, 9, 9)))


@pytest.mark.parametrize(
    "body", [b"", b"\xc1", b"\x93", b"\x91\x90", b"\x91\x9f", to_row(1, 1, [pack(event(1))])[2] + b"\0"]
)
def test_a_body_with_its_checksum_that_holds_no_entries(body: bytes) -> None:
    """Only a server with a fault of its own would write it."""
    row = (1, 1, body, checksum_of(body, 1, 1))
    with pytest.raises(Damage, match="entries up to 1 cannot be decoded"):
        entries_of(row)
    with pytest.raises(Damage, match="entries up to 1 cannot be decoded"):
        parts_of(row)
    with pytest.raises(Damage, match="entries up to 1 cannot be decoded"):
        entry_in(row, 1)
    with pytest.raises(Damage, match="entries up to 1 cannot be decoded"):
        without(row, {1})


def test_a_type_of_entry_that_only_a_newer_server_knows_is_named() -> None:
    body = to_row(7, 7, [pack(event(6)), msgpack.encode([7, None, 7, 1, "news"])])[2]
    row = (7, 7, body, checksum_of(body, 7, 7))

    with pytest.raises(UnknownEntry, match="entry 7 is of type 7, this one knows 1 to 6"):
        entries_of(row)
    assert entry_in(row, 6) == event(6)
    assert without(row, {6}) == (to_row(7, 7, [msgpack.encode([7, None, 7, 1, "news"])]), 1)


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x90", state_to_row(LogState(LOG_ID))[0] + b"\0"])
def test_a_body_with_its_checksum_that_is_no_header(body: bytes) -> None:
    with pytest.raises(Damage, match="header cannot be decoded"):
        row_to_state((body, checksum_of(body)))


def test_what_was_damaged_is_quoted_on_one_line() -> None:
    error = sqlite3.DatabaseError("malformed schema (\x00\x1b[2J):\n\tnear 'é'")

    assert one_line(str(error)) == "malformed schema (\ufffd\ufffd[2J): near 'é'"
