"""Whatever a timer can be comes back from a store exactly: the types of its numbers, every byte of its payload."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.builders import entries_in
from store.stores import KINDS, Kind, changes, other
from store.stores import event as event_at
from timer_server.core.entries import Part, ServerStarted
from timer_server.core.model import KINDS as EVENT_KINDS
from timer_server.core.model import Countdown, NewEntry, Revision, as_logged
from timer_server.core.records import pack
from timer_server.store.base import Anchor, Header, Store
from timer_server.store.blocks import Row, to_rows

SQL_INTEGER = st.integers(0, 2**63 - 1)
VALID_ID = st.text("AZaz09._:/-", min_size=1, max_size=128)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
AMOUNT = st.integers(0, 2**53) | st.floats(0, 1e300)
PAYLOAD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
).map(lambda value: json.dumps(value, ensure_ascii=False).encode())

EVENT = st.builds(
    Countdown,
    due_at_ms=st.none() | SQL_INTEGER,
    place=SQL_INTEGER.filter(bool),
    others=st.just(0),
    kind_number=st.integers(0, len(EVENT_KINDS) - 1),
    started_at_ms=SQL_INTEGER,
    id=VALID_ID,
    duration_ms=SQL_INTEGER,
    revision=st.none() | st.builds(Revision, SQL_INTEGER, SQL_INTEGER, SQL_INTEGER, st.binary(max_size=16)),
    spec_place=st.just(0),
    hours=AMOUNT,
    minutes=AMOUNT,
    seconds=AMOUNT,
    label=TEXT,
    payload=PAYLOAD,
)
EVENTS = st.lists(
    EVENT | st.builds(Countdown.traced, EVENT, st.binary(max_size=40)),
    max_size=2,
    unique_by=lambda event: event.place,
).map(lambda events: sorted(events, key=lambda event: event.place))


EVERY_KIND = pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])


@contextmanager
def reopened(kind: Kind, events: list[Countdown], anchor: Anchor | None = None) -> Iterator[tuple[Store, Header]]:
    """A store that was closed and opened again after these events were committed.

    Retention has passed them: after the horizon a log has no gaps.
    """
    with tempfile.TemporaryDirectory() as folder:
        make = kind.make(Path(folder))
        store = make()
        store.open()
        store.commit(changes(*events, horizon=events[-1].place if events else 0), anchor)
        store.close()
        store = make()
        try:
            yield store, store.open()
        finally:
            store.close()


def exactly(event: Countdown) -> tuple[object, ...]:
    """An event with what equality does not tell: the types of the amounts, and the sign of zero."""
    return event, *(repr(amount) for amount in (event.hours, event.minutes, event.seconds)), type(event.payload)


@EVERY_KIND
@given(EVENTS)
def test_events_come_back_exactly(kind: Kind, events: list[Countdown]) -> None:
    with reopened(kind, events) as (store, _):
        assert [exactly(event) for event in entries_in(store)] == [exactly(event) for event in events]
        for event in events:
            assert store.entry(event.place) == event


@EVERY_KIND
@given(
    st.builds(
        Anchor,
        TEXT.filter(bool),
        SQL_INTEGER,
        SQL_INTEGER,
        SQL_INTEGER,
        st.none() | st.integers(-(2**63), 2**63 - 1),
    )
)
def test_anchor_comes_back_exactly(kind: Kind, anchor: Anchor) -> None:
    with reopened(kind, [], anchor) as (_, header):
        assert header.anchor == anchor


@pytest.mark.parametrize(
    "label", ["", "Küche ☕", "\0", "a\nb", "'; DROP TABLE events; --", "\U0001f570\ufe0f", "e\u0301"]
)
def test_labels_that_trip_others_come_back(kind: Kind, label: str) -> None:
    with reopened(kind, [event_at(1, label=label)]) as (store, _):
        assert store.entry(1) == event_at(1, label=label)


def test_stored_rows_are_what_they_were() -> None:
    """Another order or number of fields is another schema: it needs a version of its own, and a way up."""
    spec = {"hours": 1.5, "label": "é", "spec_place": 1}
    events = [
        event_at(1, "a", "paused", due_at_ms=None, revision=Revision(2, 0, 60_000, b"8 bytes."), **spec),
        event_at(2, "a", "fired", others=1, revision=Revision(3, 500), **spec),
    ]

    assert rows_of(events) == [
        (
            2,
            1,
            bytes.fromhex(
                "dc00029f01c0010001cd03e8a161cdea60950200cdea60c408382062797465732ec001cb3ff80000000000000100"
                "a2c3a9c4046e756c6c9a02cf0000018bcfe65260020106cd07d0a161cdea609503cd01f400c400c001"
            ),
            3718549747,
        )
    ]


def test_stored_rows_of_other_entries_are_what_they_were() -> None:
    entries = [other(1, 1, "q", b"\x81", Part.LAST), ServerStarted(None, 2, 2, 1_700_000_000_000)]

    assert rows_of(entries) == [
        (2, 0, bytes.fromhex("dc00029803c00101cd03e8a17102c401819504c00202cf0000018bcfe56800"), 2562592668)
    ]


def rows_of(entries: Sequence[NewEntry]) -> list[Row]:
    return list(to_rows([pack(as_logged(entry)) for entry in entries]))
