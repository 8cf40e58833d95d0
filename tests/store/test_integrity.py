"""What is checked of a log's rows, one at a time and all together."""

import sqlite3

import pytest

from store.stores import event, places
from timer_server.core.records import pack
from timer_server.store.blocks import event_in, events_of, to_row, without
from timer_server.store.integrity import Damage, complete, sealed
from timer_server.store.sqlite.sentences import one_line
from timer_server.store.state import LogState, row_to_state, state_to_row


@pytest.mark.parametrize(
    ("found", "horizon", "last_seq"),
    [([], 0, 0), ([], 7, 7), ([1, 2, 3], 0, 3), ([2, 5, 8, 9], 7, 9), ([2, 7, 8], 7, 8), ([2, 5], 7, 7)],
)
def test_a_complete_log_passes(found: list[int], horizon: int, last_seq: int) -> None:
    assert places(complete(map(event, found), len(found), horizon, last_seq)) == found


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([2, 5, 9], "event 8 is missing, event 9 stands in its place"),
        ([2, 5, 8, 10], "event 9 is missing, event 10 stands in its place"),
        ([2, 5, 8, 8], "event 9 is missing, event 8 stands in its place"),
        ([5, 2, 8, 9], "event 2 stands after event 5"),
        ([2, 2, 8, 9], "event 2 stands after event 2"),
        ([2, 8, 5, 9], "event 5 stands after event 8"),
        ([2, 5, 8], "it ends at event 8, and should end at 9"),
        ([2, 5, 8, 9, 10], "it ends at event 10, and should end at 9"),
        ([2, 5], "it ends at event 7, and should end at 9"),
        ([2, 8, 9], "it holds 3 events, and should hold 4"),
        ([2, 3, 5, 8, 9], "it holds 5 events, and should hold 4"),
    ],
)
def test_any_other_is_told_from_it(found: list[int], said: str) -> None:
    """It should be 2, 5, 8, 9 with the horizon at 7."""
    with pytest.raises(Damage, match=said):
        list(complete(map(event, found), 4, 7, 9))


@pytest.mark.parametrize(
    "body", [b"", b"\xc1", b"\x93", b"\x91\x90", b"\x91\x9f", to_row(1, [pack(event(1))])[1] + b"\0"]
)
def test_a_body_that_was_sealed_but_holds_no_events(body: bytes) -> None:
    """Only a server with a fault of its own would write it."""
    row = (1, *sealed(body, 1))
    with pytest.raises(Damage, match="events up to 1 cannot be decoded"):
        events_of(row)
    with pytest.raises(Damage, match="events up to 1 cannot be decoded"):
        event_in(row, 1)
    with pytest.raises(Damage, match="events up to 1 cannot be decoded"):
        without(row, {1})


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x90", state_to_row(LogState(b"12345678"))[0] + b"\0"])
def test_a_body_that_was_sealed_but_is_no_header(body: bytes) -> None:
    with pytest.raises(Damage, match="header cannot be decoded"):
        row_to_state(sealed(body))


def test_what_was_damaged_is_quoted_on_one_line() -> None:
    error = sqlite3.DatabaseError("malformed schema (\x00\x1b[2J):\n\tnear 'é'")

    assert one_line(str(error)) == "malformed schema (\ufffd\ufffd[2J): near 'é'"
