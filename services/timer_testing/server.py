"""The real server in a thread of the test, on a clock that the test moves."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from timer_client import AsyncTimerClient, TimerClient
from timer_protocol.durations import NS_PER_MS, total_ms
from timer_server.loop.parts import Parts
from timer_server.loop.signals import OperatorSignals
from timer_server.serve import serve
from timer_server.settings import read_config
from timer_testing.clock import StandingClock
from timer_testing.loop import StandingLoop

LIMIT_S = 30.0
"""How long a start, a stop and a step of the clock may really take, unless the test says otherwise."""

SETTINGS = {"TIMER_BIND": "tcp://127.0.0.1:0", "TIMER_EVENTS_BIND": "tcp://127.0.0.1:0", "TIMER_STORE": "memory:"}
"""Ports that are free, and timers in memory."""


class TimerServer:
    """A server whose clock stands until the test moves it. It serves while entered, on ports of its own.

    `begin` is what the clock shows at first, by default the present; without a time zone it is UTC. `settings` are
    variables of the server, such as `{"TIMER_MAX_TIMERS": "10"}`. Nothing may really take longer than `limit_s`
    seconds.

    Raises `SettingError` for settings that are none.
    """

    def __init__(
        self, begin: datetime | None = None, settings: Mapping[str, str] | None = None, *, limit_s: float = LIMIT_S
    ) -> None:
        self._config = read_config({**SETTINGS, **(settings or {})})
        self._clock = StandingClock(_to_ns(datetime.now(UTC) if begin is None else begin))
        self._limit_s = limit_s
        self._signals = OperatorSignals()
        self._ready: Future[StandingLoop] = Future()
        self._thread = threading.Thread(target=self._serve, name="timer-server", daemon=True)
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._loop = self._ready.result(self._limit_s)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        if self._failure is not None and error is None:
            raise self._failure

    # Where it is

    @property
    def server(self) -> str:
        """The address for requests, as `TIMER_SERVER` takes it."""
        return self._loop.endpoints[0]

    @property
    def events(self) -> str:
        """The address for events, as `TIMER_EVENTS` takes it."""
        return self._loop.endpoints[1]

    def client(self) -> TimerClient:
        """A new client of this server, for the test to close."""
        return TimerClient(self.server, self.events)

    def async_client(self) -> AsyncTimerClient:
        """The same for asyncio."""
        return AsyncTimerClient(self.server, self.events)

    # The clock

    def now(self) -> datetime:
        """What the wall clock shows, in UTC."""
        return datetime.fromtimestamp((self._clock.now_ns + self._clock.ahead_ns) / 1e9, UTC)

    def advance(self, *, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Lets time pass. All that is due on the way is done at its moment, in order, and is over when this returns.

        Raises `ValueError` for an amount below 0.
        """
        passed_ns = total_ms(hours, minutes, seconds) * NS_PER_MS
        if passed_ns < 0:
            raise ValueError("time goes forward: give hours, minutes and seconds that come to 0 or more")
        self._do(lambda: self._loop.pass_time_until(self._clock.now_ns + passed_ns))

    def advance_to(self, moment: datetime) -> None:
        """Lets time pass until the wall clock shows a moment; without a time zone it is UTC.

        Raises `ValueError` for one that has passed.
        """
        left_ns = _to_ns(moment) - self._clock.now_ns - self._clock.ahead_ns
        if left_ns < 0:
            raise ValueError(f"time goes forward: it is {self.now().isoformat()}, after {moment.isoformat()}")
        self._do(lambda: self._loop.pass_time_until(self._clock.now_ns + left_ns))

    def set_wall_clock(self, moment: datetime) -> None:
        """Sets the wall clock, as an operator or NTP does: no time passes. Only what is bound to it is moved."""

        def set_clock() -> None:
            self._clock.ahead_ns = _to_ns(moment) - self._clock.now_ns
            self._loop.pass_time_until(self._clock.now_ns)

        self._do(set_clock)

    # Parts

    def _do(self, action: Callable[[], None]) -> None:
        """Has the server's thread do something; what the server fails with meanwhile is raised here."""
        try:
            self._loop.do(action, self._limit_s)
        except TimeoutError:
            if self._failure is not None:
                raise self._failure from None
            raise TimeoutError(f"the server did not come to an end within {self._limit_s} s") from None

    def _serve(self) -> None:
        try:
            serve(self._config, self._clock.sources(), self._signals, make_loop=self._make_loop)
        except BaseException as error:
            self._failure = error
            if not self._ready.done():
                self._ready.set_exception(error)

    def _make_loop(self, parts: Parts, signals: OperatorSignals) -> StandingLoop:
        loop = StandingLoop(parts, signals, self._clock)
        self._ready.set_result(loop)
        return loop

    def _stop(self) -> None:
        self._signals.stop()
        self._thread.join(self._limit_s)
        if self._thread.is_alive():
            raise TimeoutError(f"the server did not stop within {self._limit_s} s")
        self._signals.close()


def _to_ns(moment: datetime) -> int:
    aware = moment if moment.utcoffset() is not None else moment.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1000) * NS_PER_MS
