from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timer_protocol.civil_clocks import first_change_ms
from timer_protocol.errors import Refusal
from timer_server.civil_time.moments import local, moment_ms
from timer_server.civil_time.zones import zone

YEAR_2026_MS, YEAR_2027_MS = 1_767_225_600_000, 1_798_761_600_000


@given(st.datetimes(datetime(2000, 1, 1), datetime(2037, 1, 1)), st.sampled_from(["Europe/Rome", "Asia/Kathmandu"]))
def test_there_and_back(shown: datetime, name: str) -> None:
    moment = shown.replace(microsecond=shown.microsecond // 1000 * 1000, tzinfo=ZoneInfo(name)).astimezone(UTC)
    instant_ms = round(moment.timestamp() * 1000)

    assert moment_ms(local(instant_ms, zone(name))) == instant_ms
    assert moment_ms(local(instant_ms, zone("UTC"))) == instant_ms


@pytest.mark.parametrize(
    ("text", "zone_name", "expected"),
    [
        ("2026-12-01T09:00:00+01:00", None, "2026-12-01T08:00:00+00:00"),
        ("2026-12-01T09:00Z", None, "2026-12-01T09:00:00+00:00"),
        ("2026-12-01 09:00:00.0005z", None, "2026-12-01T09:00:00.001+00:00"),  # never early
        ("2026-12-01T09:00", "Europe/Rome", "2026-12-01T08:00:00+00:00"),
        ("2026-03-29T02:30", "Europe/Rome", "2026-03-29T01:00:00+00:00"),  # skipped: the end of what is skipped
        ("2026-10-25T02:30", "Europe/Rome", "2026-10-25T00:30:00+00:00"),  # shown twice: the first
        ("2026-10-04T02:10", "Australia/Lord_Howe", "2026-10-03T15:30:00+00:00"),
        ("2011-12-30T12:00", "Pacific/Apia", "2011-12-30T10:00:00+00:00"),
    ],
)
def test_moments(text: str, zone_name: str | None, expected: str) -> None:
    assert local(moment_ms(text, zone_name), zone("UTC")) == expected


@pytest.mark.parametrize(
    ("text", "zone_name", "what"),
    [
        ("tomorrow", None, "expected a moment such as 2026-12-01T09:00:00+01:00, or a local time with a zone"),
        ("2026-12-01", "UTC", "expected a moment such as 2026-12-01T09:00:00+01:00, or a local time with a zone"),
        ("٢026-12-01T09:00Z", None, "expected a moment such as 2026-12-01T09:00:00+01:00, or a local time with a zone"),
        ("2026-12-01T09:00", None, "a local time needs a zone"),
        ("2026-12-01T09:00Z", "UTC", "a moment with an offset takes no zone beside it"),
        ("2026-02-30T09:00Z", None, "day is out of range for month"),
        ("2026-12-01T24:00Z", None, "hour must be in 0..23"),
        ("2026-12-31T23:59:60Z", None, "second must be in 0..59"),
    ],
)
def test_what_is_no_moment(text: str, zone_name: str | None, what: str) -> None:
    with pytest.raises(Refusal) as refused:
        moment_ms(text, zone_name)

    assert refused.value.reason == f"{text!r} is no moment: {what}"


@pytest.mark.parametrize(
    ("name", "hint"),
    [("Europe/Roma", "did you mean Europe/Rome?"), ("../../etc/passwd", "such as Europe/Rome or UTC"), ("", "such as")],
)
def test_what_is_no_zone(name: str, hint: str) -> None:
    with pytest.raises(Refusal) as refused:
        zone(name)

    assert refused.value.reason.startswith(f"{name!r} is no time zone of tzdata ")
    assert hint in refused.value.reason


def test_changes_of_a_year() -> None:
    rome = zone("Europe/Rome")
    spring_ms = first_change_ms(YEAR_2026_MS, YEAR_2027_MS, rome)
    assert spring_ms == moment_ms("2026-03-29T01:00:00Z")
    autumn_ms = first_change_ms(spring_ms, YEAR_2027_MS, rome)
    assert autumn_ms == moment_ms("2026-10-25T01:00:00Z")
    assert first_change_ms(autumn_ms, YEAR_2027_MS, rome) is None
    assert first_change_ms(YEAR_2026_MS, YEAR_2027_MS, zone("Asia/Kathmandu")) is None
