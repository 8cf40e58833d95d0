"""The alarm: it wakes a poller up at a deadline, and not before; it is set anew only where it has to be."""

import ctypes
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import zmq

from timer_server.loop.alarm import Alarm
from timer_server.loop.clock import Clock, system_sources

NS_PER_MS = 1_000_000
LIMIT_MS = 10_000


@pytest.fixture
def poller() -> zmq.Poller:
    return zmq.Poller()


@pytest.fixture
def alarm(poller: zmq.Poller) -> Iterator[Alarm]:
    alarm = Alarm()
    alarm.register(poller)
    yield alarm
    alarm.close()


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How long it was set for, each time; it never goes off."""
    waits_ns: list[int] = []

    def settime(_: int, __: int, setting: object, ___: None) -> int:
        waits_ns.append(setting._obj.wait_s * 1000 * NS_PER_MS + setting._obj.wait_ns)  # type: ignore[attr-defined]
        return 0

    libc = SimpleNamespace(timerfd_create=lambda *_: 99, timerfd_settime=settime)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: libc)
    return waits_ns


@pytest.fixture
def nothing_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that has no timerfd."""
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace())


@pytest.mark.parametrize("ahead_ns", [1, 999, 50_000, 3 * NS_PER_MS])
def test_it_wakes_up_and_never_early(alarm: Alarm, poller: zmq.Poller, ahead_ns: int) -> None:
    clock = Clock(system_sources(), None)
    for _ in range(5):
        now_ns = clock.now_ns()
        alarm.set(now_ns + ahead_ns, now_ns)
        ready = dict(poller.poll(LIMIT_MS))

        assert clock.now_ns() >= now_ns + ahead_ns
        assert alarm.is_all_of(ready)


def test_it_falls_silent_once_it_is_set_again(alarm: Alarm, poller: zmq.Poller) -> None:
    now_ns = 0
    alarm.set(1, now_ns)
    assert alarm.is_all_of(dict(poller.poll(LIMIT_MS)))

    alarm.set(3600 * 1000 * NS_PER_MS, now_ns)

    assert poller.poll(0) == []


def test_it_goes_off_again_where_the_deadline_has_not_come_by_another_clock(alarm: Alarm, poller: zmq.Poller) -> None:
    for _ in range(3):
        alarm.set(NS_PER_MS, now_ns=0)
        ready = dict(poller.poll(LIMIT_MS))
        assert ready
        assert alarm.is_all_of(ready)


@pytest.mark.parametrize(
    ("due_ns", "timeout_ms"), [(-5, 0), (0, 0), (1, 1), (NS_PER_MS, 1), (NS_PER_MS + 1, 2), (1000 * NS_PER_MS, 1000)]
)
def test_the_timeout_is_rounded_up(settings: list[int], due_ns: int, timeout_ms: int) -> None:
    assert Alarm().set(due_ns, now_ns=0) == timeout_ms
    assert settings == ([due_ns] if due_ns > 0 else [])


def test_the_same_deadline_is_set_once_until_it_has_gone_off(settings: list[int]) -> None:
    alarm = Alarm()
    alarm.set(9 * NS_PER_MS, now_ns=0)
    assert not alarm.is_all_of({"a socket": zmq.POLLIN})
    alarm.set(9 * NS_PER_MS, now_ns=4 * NS_PER_MS)
    assert settings == [9 * NS_PER_MS]

    assert alarm.is_all_of({99: zmq.POLLIN})
    alarm.set(9 * NS_PER_MS, now_ns=8 * NS_PER_MS)
    assert settings == [9 * NS_PER_MS, NS_PER_MS]


@pytest.mark.parametrize(
    ("ready", "is_all"), [({}, True), ({99: 1}, True), ({"a socket": 1}, False), ({99: 1, "a socket": 1}, False)]
)
@pytest.mark.usefixtures("settings")
def test_it_knows_whether_anything_else_has_come(ready: dict[object, int], is_all: bool) -> None:
    assert Alarm().is_all_of(ready) == is_all


@pytest.mark.usefixtures("nothing_to_set")
def test_without_it_there_is_still_the_timeout(poller: zmq.Poller) -> None:
    alarm = Alarm()
    alarm.register(poller)

    assert alarm.set(NS_PER_MS + 1, now_ns=0) == 2
    assert poller.sockets == []
    assert alarm.is_all_of({})
    alarm.close()


def test_closing_it_twice_is_closing_it_once(alarm: Alarm) -> None:
    alarm.close()
    alarm.close()

    assert alarm.is_all_of({})
