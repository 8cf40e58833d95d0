"""Trying exchanges again: tenacity policies, built from the settings.

Each pause is drawn at random between `retry_min_s` and a bound that doubles up to `retry_max_s`, so that the clients
of a server that comes back do not return in step. The last pause is cut short for one more try right at the deadline.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tenacity import AsyncRetrying, RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from timer_client.settings import Settings

_LAST_TRY_S = 0.1
"""The time for a try at the very end of the deadline."""

_log = logging.getLogger("timer_client")


class Unfinished(Exception):
    """An attempt left calls outstanding, for a reason that may pass."""

    def __init__(self, reason: str, parked_s: float = 0) -> None:
        super().__init__(reason)
        self.parked_s = parked_s
        """How long the server was allowed to hold the answer back; this does not count towards the deadline."""


class Unanswered(Unfinished):
    """No reply came."""


class Postponed(Unfinished):
    """A reply came, with an error that may pass."""


@dataclass(frozen=True)
class Pause:
    """What `on_pause` is told before an attempt is repeated."""

    endpoint: str
    tries: int
    """Attempts that have failed."""
    reason: str
    pause_s: float


class Patience:
    """How long an exchange has been tried, and how long it may be."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._started_s = time.monotonic()
        self._parked_s = 0.0
        self.tries = 0
        """Attempts that have failed."""

    @property
    def tried_s(self) -> float:
        """Time spent without an answer that was due."""
        return time.monotonic() - self._started_s - self._parked_s

    @property
    def left_s(self) -> float:
        """Time until the deadline, negative after it."""
        return self._settings.retry_deadline_s - self.tried_s

    def attempt_timeout_s(self) -> float:
        """How long the next attempt may wait for its reply."""
        if self.tries == 0 and self._settings.retry_deadline_s == 0:
            return self._settings.timeout_s  # a single try: the deadline is not its limit
        return min(self._settings.timeout_s, max(self.left_s, _LAST_TRY_S))

    def may_try_again(self, failure: BaseException) -> bool:
        """Tenacity's `retry`, asked once for each failed attempt."""
        if not isinstance(failure, Unfinished):
            return False
        self._parked_s += failure.parked_s
        self.tries += 1
        return True

    def is_over(self, _state: RetryCallState) -> bool:
        """Tenacity's `stop`, asked next."""
        return self.left_s <= 0


OnPause = Callable[[Pause], None]


def log_pause(pause: Pause) -> None:
    """The default `on_pause`: logs the pause."""
    _log.info("%s: try %d failed (%s); again in %.1f s", pause.endpoint, pause.tries, pause.reason, pause.pause_s)


def try_blocking(
    attempt: Callable[[], None],
    settings: Settings,
    patience: Patience,
    on_pause: OnPause,
    sleep: Callable[[float], None],
) -> None:
    """Repeats an attempt while it raises `Unfinished`, until the deadline; then raises that.

    `sleep` may end a pause early by raising something else.
    """
    try:
        attempt()  # nearly always the only one, and so without the cost of tenacity
    except Unfinished as first:
        failures = [first]
    else:
        return

    def attempt_again() -> None:
        if failures:
            raise failures.pop()
        attempt()

    Retrying(sleep=sleep, **_policy(settings, patience, on_pause))(attempt_again)


async def try_awaitable(
    attempt: Callable[[], Awaitable[None]],
    settings: Settings,
    patience: Patience,
    on_pause: OnPause,
    sleep: Callable[[float], Awaitable[None]],
) -> None:
    """`try_blocking` for a task."""
    try:
        await attempt()
    except Unfinished as first:
        failures = [first]
    else:
        return

    async def attempt_again() -> None:
        if failures:
            raise failures.pop()
        await attempt()

    # One object for each run, since tenacity keeps the state of the run in it.
    await AsyncRetrying(sleep=sleep, **_policy(settings, patience, on_pause))(attempt_again)


def _policy(settings: Settings, patience: Patience, on_pause: OnPause) -> dict[str, Any]:
    """The arguments for tenacity, for threads and tasks alike."""
    return {
        "retry": retry_if_exception(patience.may_try_again),
        "wait": _pauses(settings, patience),
        "stop": patience.is_over,
        "before_sleep": _teller(settings, on_pause),
        "reraise": True,
    }


def _pauses(settings: Settings, patience: Patience) -> Callable[[RetryCallState], float]:
    back_off = wait_random_exponential(
        multiplier=2 * settings.retry_min_s, max=settings.retry_max_s, min=settings.retry_min_s
    )
    return lambda state: min(back_off(state), max(patience.left_s, 0))


def _teller(settings: Settings, on_pause: OnPause) -> Callable[[RetryCallState], None]:
    def tell(state: RetryCallState) -> None:
        failure = state.outcome.exception() if state.outcome is not None else None
        pause_s = state.next_action.sleep if state.next_action is not None else 0.0
        on_pause(Pause(settings.server, state.attempt_number, str(failure), pause_s))

    return tell
