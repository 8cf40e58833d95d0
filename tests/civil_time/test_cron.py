import pytest
from hypothesis import given
from hypothesis import strategies as st

from civil_time.brute_force import Walk
from timer_protocol.errors import Refusal
from timer_server.civil_time.cron import Cron
from timer_server.civil_time.moments import local, moment_ms
from timer_server.civil_time.zones import zone

CHANGES = {
    "Europe/Rome": ("2026-03-29", "2026-10-25"),
    "America/New_York": ("2026-03-08", "2026-11-01"),
    "Australia/Lord_Howe": ("2026-04-05", "2026-10-04"),  # half an hour
    "America/St_Johns": ("2026-03-08", "2026-11-01"),
    "Pacific/Chatham": ("2026-04-05", "2026-09-27"),
    "America/Santiago": ("2026-04-05", "2026-09-06"),  # at midnight
    "America/Havana": ("2026-03-08", "2026-11-01"),  # at midnight
    "Asia/Beirut": ("2026-03-29", "2026-10-25"),  # at midnight
    "Africa/Casablanca": ("2026-02-15", "2026-03-22"),  # set back in spring
    "Pacific/Apia": ("2011-12-30",),  # a day that never was
    "Asia/Kathmandu": ("2026-06-01",),
}
DAY_MS = 86_400_000

minutes = st.sampled_from(["*", "*/5", "*/15", "*/7", "0", "30", "45", "0,30", "10-20", "59", "0-59", "31"])
hours = st.sampled_from(["*", "*/2", "*/3", "0", "1", "2", "3", "23", "1,2", "0-3", "2-3"])
weekdays = st.sampled_from(["*", "0", "1-5"])
places = st.sampled_from([(name, day) for name, days in CHANGES.items() for day in days])


@given(minutes, hours, weekdays, places)
def test_the_same_moments_as_a_walk_through_all_minutes(
    minute: str, hour: str, weekday: str, place: tuple[str, str]
) -> None:
    name, day = place
    expression = f"{minute} {hour} * * {weekday}"
    begin_ms = moment_ms(f"{day}T00:00Z") - DAY_MS // 2
    end_ms = begin_ms + 2 * DAY_MS

    assert moments(expression, name, begin_ms, end_ms) == list(Walk(expression, name).moments(begin_ms, end_ms))


def moments(expression: str, name: str, begin_ms: int, end_ms: int) -> list[int]:
    found: list[int] = []
    cron, after_ms = Cron(expression, zone(name)), begin_ms + 999  # also from within a second
    while (after_ms := cron.after(after_ms) or end_ms + 1) <= end_ms:
        found.append(after_ms)
    return found


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("30 2 * * *", "2026-03-29T01:59:00+01:00", "2026-03-29T03:00:00+02:00"),  # skipped: when the clocks skip it
        ("30 2 * * *", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"),
        ("30 2 * * *", "2026-10-25T02:00:00+02:00", "2026-10-25T02:30:00+02:00"),  # shown twice: the first
        ("30 2 * * *", "2026-10-25T02:10:00+01:00", "2026-10-26T02:30:00+01:00"),
        ("0 9 * * 1-5", "2026-03-27T09:00:00+01:00", "2026-03-30T09:00:00+02:00"),
        ("0 0 29 2 *", "2026-01-01T00:00:00+01:00", "2028-02-29T00:00:00+01:00"),
        ("0 12 L * *", "2026-02-01T00:00:00+01:00", "2026-02-28T12:00:00+01:00"),
        ("0 12 * * FRI#1", "2026-02-01T00:00:00+01:00", "2026-02-06T12:00:00+01:00"),
    ],
)
def test_next_in_rome(expression: str, after: str, expected: str) -> None:
    rome = zone("Europe/Rome")
    found_ms = Cron(expression, rome).after(moment_ms(after))

    assert found_ms is not None
    assert local(found_ms, rome) == expected


@pytest.mark.parametrize(
    ("expression", "what"),
    [
        ("", "it has 0 fields where 5 are expected"),
        ("* * * *", "it has 4 fields where 5 are expected"),
        ("0 * * * * *", "it has 6 fields where 5 are expected"),
        ("60 * * * *", "bad minute"),
        ("* 24 * * *", "bad hour"),
        ("* * 0 * *", "bad day-of-month"),
        ("* * * 13 *", "bad month"),
        ("* * * * 8", "bad day-of-week"),
        ("0 0 31 2 8", "bad day-of-week"),
        ("0 0 32 2 *", "bad day-of-month"),
        ("0 0 31 Fev *", "bad month"),
        ("@daily", "it has 1 field where 5 are expected"),
    ],
)
def test_what_is_no_rule(expression: str, what: str) -> None:
    with pytest.raises(Refusal) as refused:
        Cron(expression, zone("UTC"))

    assert refused.value.reason == (
        f"{expression!r} is no cron rule: {what}; expected minute, hour, day of the month, month and day of the week,"
        " such as '0 9 * * 1-5'"
    )


@pytest.mark.parametrize("expression", ["0 9 31 2 *", "0 9 30 Feb *", "0 0 31 4,6 *", "0  0 31 2-2 */2"])
def test_a_day_that_none_of_its_months_has_never_comes(expression: str) -> None:
    with pytest.raises(Refusal) as refused:
        Cron(expression, zone("UTC"))

    assert refused.value.reason == f"{expression!r} never comes: no month that it names has such a day"


def test_it_ends_with_the_calendar() -> None:
    assert Cron("0 0 1 1 *", zone("UTC")).after(moment_ms("9999-12-31T00:00:00Z")) is None
    assert Cron("* * 1 1 *", zone("UTC")).after(moment_ms("9999-12-31T00:00:00Z")) is None
