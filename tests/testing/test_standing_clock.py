"""`timer_testing`: the real server on a clock that stands until the test moves it."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta

import pytest

from drivers.peers import requester
from timer_client import Event, Timer, TimerClient
from timer_protocol.settings import SettingError
from timer_testing import TimerServer

pytest_plugins = ["timer_testing.pytest_plugin"]
BEGIN = datetime(2026, 3, 28, 12, tzinfo=UTC)


def test_nothing_ends_until_the_clock_is_moved(timer_server: TimerServer) -> None:
    with timer_server.client() as timers:
        timers.start(id="eggs", minutes=7)
        timer_server.advance(minutes=6, seconds=59.999)
        assert timers.get("eggs").remaining_ms == 1

        timer_server.advance(seconds=0.001)

        assert timers.get("eggs").state == "fired"


def test_everything_on_the_way_ends_at_its_own_moment_and_in_order() -> None:
    with TimerServer(BEGIN) as server, server.client() as timers:
        for number in range(1000):
            timers.start(id=f"m/{number}", minutes=1000 - number)

        server.advance(minutes=1000)

        assert server.now() == BEGIN + timedelta(minutes=1000)
        fired = [event for event in every_event(timers) if event.kind == "fired"]
        assert [event.timer.id for event in fired] == [f"m/{number}" for number in reversed(range(1000))]
        assert all(event.at_ms == event.timer.due_at_ms for event in fired)


def test_those_who_wait_are_told(timer_server: TimerServer) -> None:
    waited: list[Timer] = []
    with timer_server.client() as timers, timer_server.client() as other:
        timers.start(id="tea", minutes=4)
        thread = threading.Thread(target=lambda: waited.append(other.wait("tea")))
        thread.start()
        timer_server.advance(minutes=4)
        thread.join(10)

    assert [timer.state for timer in waited] == ["fired"]


def test_asynchronous_clients_are_served_too(timer_server: TimerServer) -> None:
    async def run() -> str:
        async with timer_server.async_client() as timers:
            await timers.start(id="a", hours=9)
            await asyncio.to_thread(timer_server.advance, hours=9)
            return (await timers.get("a")).state

    assert asyncio.run(run()) == "fired"


def test_a_wall_clock_that_is_set_moves_only_what_is_bound_to_it() -> None:
    with TimerServer(BEGIN) as server, server.client() as timers:
        timers.start(id="elapsed", hours=1)
        timers.start(id="bound", at=BEGIN + timedelta(hours=1))

        server.set_wall_clock(BEGIN + timedelta(hours=2))

        assert (timers.get("elapsed").state, timers.get("bound").state) == ("running", "fired")
        assert server.now() == BEGIN + timedelta(hours=2)
        server.advance_to(BEGIN + timedelta(hours=3))
        assert timers.get("elapsed").state == "fired"


def test_leases_of_a_queue_run_out_as_time_passes(timer_server: TimerServer) -> None:
    with requester(timer_server.server) as timers:
        timers.call("queue.put", queue="q", prefix="")
        timers.call("timer.start", id="a", seconds=1)
        timer_server.advance(seconds=1)
        (first,) = timers.call("queue.take", queue="q")["deliveries"]
        timer_server.advance(seconds=29)
        assert timers.call("queue.take", queue="q")["deliveries"] == []

        timer_server.advance(seconds=1)

        (again,) = timers.call("queue.take", queue="q")["deliveries"]
        assert (first["attempt"], again["attempt"], again["event"]) == (1, 2, first["event"])


def test_time_does_not_go_back(timer_server: TimerServer) -> None:
    with pytest.raises(ValueError, match="time goes forward: give hours, minutes and seconds that come to 0 or more"):
        timer_server.advance(seconds=-1)
    with pytest.raises(ValueError, match=r"time goes forward: it is .*, after 1999-01-01T00:00:00"):
        timer_server.advance_to(datetime(1999, 1, 1))


def test_settings_are_those_of_the_server() -> None:
    with pytest.raises(SettingError, match="TIMER_MAX_TIMERS"):
        TimerServer(settings={"TIMER_MAX_TIMERS": "many"})


@pytest.mark.parametrize("timer_server_begin", [BEGIN])
@pytest.mark.parametrize("timer_server_settings", [{"TIMER_RETENTION_S": "2592000"}])
def test_the_fixture_takes_a_beginning_and_settings_and_a_week_can_be_read_later(timer_server: TimerServer) -> None:
    assert timer_server.now() == BEGIN
    with timer_server.client() as timers:
        timers.start(id="tea", minutes=4)
        timer_server.advance(hours=7 * 24)

        assert [event.kind for event in timers.read_events("start").events] == ["started", "fired"]
        assert timers.get("tea").state == "fired"


def test_a_server_that_cannot_start_says_why() -> None:
    with TimerServer() as first, pytest.raises(Exception, match="in use"):  # noqa: SIM117
        with TimerServer(settings={"TIMER_BIND": first.server}):
            pass


def every_event(timers: TimerClient) -> list[Event]:
    events, page = [], timers.read_events("start", limit=1000)
    while page.events:
        events += page.events
        page = timers.read_events(page.next, limit=1000)
    return events


def test_a_plan_comes_on_the_clocks_of_its_zone_across_the_day_on_which_they_are_set() -> None:
    with TimerServer(BEGIN) as server, server.client() as timers, requester(server.server) as rpc:
        rpc.call("plan.put", plan="night", cron="30 2 * * *", zone="Europe/Rome")
        rpc.call("plan.put", plan="hourly", every={"hours": 1})

        moments: dict[str, str] = {}
        for _ in range(7):
            server.advance(hours=24)
            for timer in timers.list(prefix="night~", state="fired").timers:
                assert timer.ended_at_ms == timer.due_at_ms
                moments[timer.id] = str(timer.at)

        assert list(moments.values())[:3] == [
            "2026-03-29T03:00:00+02:00",
            "2026-03-30T02:30:00+02:00",
            "2026-03-31T02:30:00+02:00",
        ]
        assert len(moments) == 7
        assert rpc.call("plan.get", plan="hourly")["counts"] == {
            "fired": 168,
            "cancelled": 0,
            "skipped": 0,
            "missed": 0,
        }
