"""Moments of the wall clock as people write them, and the time zone of the machine."""

import json
import re
import time
import zoneinfo
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest

from client.command import run, running
from client.fake_server import timer
from fake_time import FakeTime
from local_server import LocalServer
from timer_client import TimerClient
from timer_client.cli import root, text
from timer_client.cli.moments import Moment, parse_moment, spoken
from timer_client.cli.zones import MachineZone, complete_zone
from timer_protocol.civil_clocks import from_ms, shown_first_ms, to_ms

SetZone = Callable[[str], None]


@pytest.fixture
def set_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[SetZone]:
    """Sets the time zone of this machine for the length of a test."""
    with monkeypatch.context() as variables:

        def set_it(name: str) -> None:
            variables.setenv("TZ", name)
            time.tzset()

        yield set_it
    time.tzset()


def _ms(moment: str) -> int:
    return to_ms(datetime.fromisoformat(moment))


NOW = "2026-11-28T15:20:00+01:00"


@pytest.mark.parametrize(
    ("written", "now", "at", "is_next_day"),
    [
        ("15:30", NOW, "2026-11-28T15:30:00+01:00", False),
        ("14:30", NOW, "2026-11-29T14:30:00+01:00", True),
        ("15:20", NOW, "2026-11-29T15:20:00+01:00", True),
        ("9:05:07", NOW, "2026-11-29T09:05:07+01:00", True),
        (" today  14:30", NOW, "2026-11-28T14:30:00+01:00", False),
        ("Tomorrow 16:00", NOW, "2026-11-29T16:00:00+01:00", False),
        ("16:00 tomorrow", NOW, "2026-11-29T16:00:00+01:00", False),
        ("2026-12-01 09:00", NOW, "2026-12-01T09:00:00+01:00", False),
        ("2027-07-01T09:00:30", NOW, "2027-07-01T09:00:30+02:00", False),
        ("2026-12-01t09:00z", NOW, "2026-12-01T09:00Z", False),
        ("2026-12-01 09:00:00.5 +05:45", NOW, "2026-12-01T09:00:00.5+05:45", False),
        ("2:30", "2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00", False),  # skipped: when the clocks do
        ("2:30", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00", True),
        ("2:30", "2026-10-25T01:00:00+02:00", "2026-10-25T02:30:00+02:00", False),  # shown twice: the first
        ("2:30", "2026-10-25T02:10:00+01:00", "2026-10-26T02:30:00+01:00", True),
    ],
)
def test_moments_on_the_clocks_of_this_machine(
    set_zone: SetZone, written: str, now: str, at: str, *, is_next_day: bool
) -> None:
    set_zone("Europe/Rome")
    assert parse_moment(written, None, _ms(now)) == Moment(at, None, is_next_day)


@pytest.mark.parametrize(
    ("written", "zone", "at", "is_next_day"),
    [
        ("23:30", "Asia/Tokyo", "2026-11-28T23:30", False),
        ("22:30", "Asia/Tokyo", "2026-11-29T22:30", True),
        ("tomorrow 9:00", "Pacific/Auckland", "2026-11-30T09:00", False),  # where it is the 29th already
        ("2026-12-01 09:00:05", "Nowhere/Known", "2026-12-01T09:00:05", False),  # for the server to look up
    ],
)
def test_a_named_zone_tells_which_day_it_is_and_the_server_the_rest(
    written: str, zone: str, at: str, *, is_next_day: bool
) -> None:
    assert parse_moment(written, zone, _ms(NOW)) == Moment(at, zone, is_next_day)


@pytest.mark.parametrize(
    ("written", "zone", "reason"),
    [
        ("soon", None, "expected 14:30, tomorrow 9:00, 2026-12-01 09:00, 2026-12-01T09:00:00+01:00"),
        ("today 9:00 tomorrow", None, "expected 14:30"),
        ("2026-12-01", None, "expected 14:30"),
        ("9:5", None, "expected 14:30"),
        ("25:00", None, "hour must be in 0..23"),
        ("2026-02-30 09:00", None, "day"),
        ("2026-02-30T09:00Z", None, "day"),
        ("2026-12-01T09:00Z", "Europe/Rome", "so that no --zone goes with it"),
        ("14:30", "Europe/Roma", "'Europe/Roma' is no time zone that this machine knows; did you mean Europe/Rome?"),
        ("14:30", "Europe", "'Europe' is no time zone that this machine knows"),
        ("14:30", "../etc", "'../etc' is no time zone that this machine knows"),
        ("9999-12-31 23:59", None, "out of range"),
        ("٩:00", None, "expected 14:30"),
    ],
)
def test_what_is_no_moment(set_zone: SetZone, written: str, zone: str | None, reason: str) -> None:
    set_zone("America/New_York")
    with pytest.raises(ValueError, match=f"^{re.escape(repr(written))} is no moment: .*{re.escape(reason)}"):
        parse_moment(written, zone, _ms(NOW))


def test_without_zone_data_a_day_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("timer_client.cli.zones.ZoneInfo", lambda name: zoneinfo.ZoneInfo("no/" + name))
    monkeypatch.setattr("timer_client.cli.zones.available_timezones", set)
    with pytest.raises(ValueError, match=r"this machine has no time zone data.* write the day too"):
        parse_moment("14:30", "Europe/Rome", 0)
    assert spoken("2026-12-01T09:00", "Europe/Rome", 0) == "2026-12-01T09:00 Europe/Rome"


@pytest.mark.parametrize("name", ["Australia/Lord_Howe", "Asia/Kathmandu", "CET-1CEST,M3.5.0,M10.5.0/3"])
def test_the_zone_of_the_machine_is_like_one_with_a_name(set_zone: SetZone, name: str) -> None:
    set_zone(name)
    known = zoneinfo.ZoneInfo("Europe/Rome" if "," in name else name)
    begin_ms = _ms("2026-01-01T00:00:00+00:00")
    for hour in range(365 * 24):
        moment = from_ms(begin_ms + hour * 3_600_000 + 1_234, MachineZone())
        assert (moment.isoformat(), moment.fold) == ((named := moment.astimezone(known)).isoformat(), named.fold)
        assert moment.tzname() == named.tzname()
        if hour % 7 == 0:
            shown = moment.replace(tzinfo=None, fold=0) + timedelta(minutes=10)
            assert shown_first_ms(shown, MachineZone()) == shown_first_ms(shown, known)


@pytest.mark.parametrize(
    ("at", "zone", "words"),
    [
        ("2026-11-28T16:30", "Europe/Rome", "today at 16:30 CET"),
        ("2026-11-29T14:30:05+01:00", None, "tomorrow at 14:30:05 CET"),
        ("2026-07-01T09:00:00Z", None, "on 2026-07-01 at 11:00 CEST"),
        ("2026-11-29T00:00", "Pacific/Auckland", "today at 00:00 NZDT"),
        ("2026-11-29T00:00", "Nowhere/Known", "2026-11-29T00:00 Nowhere/Known"),
    ],
)
def test_moments_in_words(set_zone: SetZone, at: str, zone: str | None, words: str) -> None:
    set_zone("Europe/Rome")
    assert spoken(at, zone, _ms(NOW)) == words


def test_a_timer_in_words_has_its_moment(set_zone: SetZone) -> None:
    set_zone("UTC")
    due_at_ms = _ms("2026-12-01T09:00:00+00:00") - 3  # the timeline is a little off the wall clock
    bound = timer(id="a", due_at_ms=due_at_ms, at="2026-12-01T10:00", zone="Europe/Rome", version=1)
    assert text.sentence(bound).endswith("until 2026-12-01 09:00:00 (at 2026-12-01T10:00 Europe/Rome).")
    assert text.asked(timer(at="\x1b[2J", zone="\x1b", state="paused")) == r"asked for \x1b[2J \x1b"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["25m", "--at", "14:30"], "--at is a moment and '25m' is how long, or another one: give one of them"),
        (["@14:30", "--at", "14:30"], "give one of them"),
        (["25m", "--zone", "UTC"], "--zone and --past belong to a moment: give --at, or write it as in @14:30"),
        (["--past", "fire"], "--zone and --past belong to a moment"),
        (["@noon"], "'noon' is no moment: expected 14:30"),
        (["--at", ""], "'' is no moment"),
        (["--file", "/dev/null", "--at", "14:30"], "--file has all that is to be started"),
    ],
)
def test_what_does_not_go_together(arguments: list[str], reason: str) -> None:
    with pytest.raises(click.UsageError, match=re.escape(reason)):
        root.main(["start", *arguments], "timer", standalone_mode=False)


def test_start_at_a_moment(server: LocalServer, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    passed, later = now - timedelta(minutes=2), now + timedelta(days=3)  # also where it is tomorrow by now
    day = "tomorrow" if passed.date() == now.date() else "today"
    ran = run(tmp_path, "start", f"@{passed:%H:%M}", "--id", "a", "--detach", "--json", server=server, TZ="UTC")
    started = json.loads(ran.stdout)
    assert started["at"] == f"{passed + timedelta(days=1):%Y-%m-%dT%H:%M}:00+00:00"
    assert re.fullmatch(rf"timer: rings {day} at {passed:%H:%M} UTC, in 23:5\d:\d\d\n", ran.stderr)

    words = ["start", "--at", f"{later:%Y-%m-%d %H:%M}", "--zone", "Asia/Tokyo", "--id", "b"]
    with running(tmp_path, *words, server=server) as program:
        program.expect(rf"Server: rings on {later:%Y-%m-%d} at {later:%H:%M} JST, in 2d \d\d:\d\d:\d\d, timer b")
        program.expect(rf"to go, until .* \(at {later:%Y-%m-%dT%H:%M} Asia/Tokyo\)\.")
        run(tmp_path, "cancel", "b", server=server)
        assert program.wait() == 3
    (line,) = run(tmp_path, "list", "--json", server=server).stdout.splitlines()
    assert json.loads(line)["at"] == started["at"]

    ran = run(tmp_path, "start", "@2020-01-01 09:00", server=server)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "the moment in `at` passed" in ran.stderr
    ran = run(tmp_path, "start", "@2020-01-01 09:00", "--past", "fire", server=server)
    assert ran.returncode == 0, ran.stderr
    assert "has fired at" in ran.stdout


def test_the_library_starts_for_a_moment_and_hears_that_the_clock_was_set(tmp_path: Path) -> None:
    clocks = FakeTime()
    moment = datetime.fromtimestamp(clocks.wall_ns() // 10**9 + 86_400, UTC)
    with (
        LocalServer(sources=clocks.sources()) as server,
        TimerClient(server.commands, server.events) as client,
    ):
        before = client.info().cursor
        started = client.start(id="a", at=moment)
        assert (started.at, bool(started.zone)) == (moment.isoformat(), False)
        with running(tmp_path, "watch", "a", server=server) as program:
            program.expect("is running")
            clocks.set_wall_clock_by_s(-3600)
            for event in client.events("a", after=before):
                if event.kind == "extended":
                    break
            assert event.cause == "clock"
            program.expect("The clock was set: Timer a is running: 1d 0")


def test_zones_are_completed() -> None:
    assert complete_zone(click.Context(root), root.params[0], "Europe/Rom") == ["Europe/Rome"]
