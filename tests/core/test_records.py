"""Records made from columns are those of the entries by themselves."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.builders import make_timer
from timer_server.core.model import Countdown
from timer_server.core.records import Column, Same, pack, pack_columns

FIELDS = Countdown.__struct_fields__
TAG = Countdown.__struct_config__.tag

fields = st.fixed_dictionaries(
    {
        "due_at_ms": st.sampled_from([1, 2**40]),
        "place": st.integers(0, 2**40),
        "id": st.sampled_from(["a", "x" * 128]),
        "seconds": st.sampled_from([1, 1.0, 0.5, 2**33]),
        "label": st.sampled_from(["", "ü" * 256]),
        "payload": st.sampled_from([b"null", b"x" * 300]),
    }
)


@given(st.lists(fields, min_size=1, max_size=40), st.sets(st.sampled_from(FIELDS)))
def test_columns_come_to_the_records_of_their_rows(rows: list[dict[str, Any]], alike: set[str]) -> None:
    for row in rows:
        row.update({name: rows[0][name] for name in alike & row.keys()})
    timers = [make_timer(row.pop("id"), **row) for row in [dict(row) for row in rows]]

    columns: list[Column] = [Same(TAG)]
    for name in FIELDS:
        values = [getattr(timer, name) for timer in timers]
        columns.append(Same(values[0]) if name in alike else values)

    assert pack_columns(len(timers), columns) == [pack(timer) for timer in timers]


@pytest.mark.parametrize("count", [1, 15, 16, 65_535, 65_536])
def test_any_number_of_records_can_be_packed(count: int) -> None:
    timer = make_timer()
    same: list[Column] = [Same(TAG), *(Same(getattr(timer, name)) for name in FIELDS)]

    assert pack_columns(count, same) == [pack(timer)] * count
    places: list[Column] = [*same[:2], range(count), *same[3:]]
    assert len({*pack_columns(count, places)}) == count
