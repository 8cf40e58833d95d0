"""Trying exchanges again: tenacity policies, built from the settings.

A try asks one server. Where there are several, each is asked at once after the one before, and a pause is made only
after all have failed: such a round counts as one try. Each pause is drawn at random between `retry_min_s` and a bound
that doubles up to `retry_max_s`, so that the clients of a server that comes back do not return in step. The last pause
is cut short for one more try right at the deadline.
"""

import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tenacity import AsyncRetrying, RetryCallState, Retrying, retry_if_exception

from timer_client.settings import Settings

_LAST_TRY_S = 0.1
"""The time for a try at the very end of the deadline."""

_CONNECTS_WITHIN_S = 1.0
"""How long each of several servers may take to accept a connection in the first round."""

_DOUBLED_MOST = 32
"""How often the bound of a pause is doubled: more passes any setting, and in the end what a number can be."""

_log = logging.getLogger("timer_client")


class Unfinished(Exception):
    """An attempt left calls outstanding, for a reason that may pass."""

    def __init__(self, reason: str, parked_s: float = 0, endpoint: str = "") -> None:
        super().__init__(reason)
        self.parked_s = parked_s
        """How long the server was allowed to hold the answer back; this does not count towards the deadline."""
        self.endpoint = endpoint
        """The server that was asked."""


class Unanswered(Unfinished):
    """No reply came."""


class Postponed(Unfinished):
    """A reply came, with an error that may pass."""


@dataclass(frozen=True)
class Pause:
    """What `on_pause` is told before an attempt is repeated."""

    endpoint: str
    """Where the server is; of several, their endpoints, separated by commas."""
    tries: int
    """Attempts that have failed; of several servers, rounds in which all have."""
    reason: str
    pause_s: float


class Patience:
    """How long an exchange has been tried, and how long it may be."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._started_s = time.monotonic()
        self._parked_s = 0.0
        self._failed = 0
        """How often a server has failed."""
        self._reasons: dict[str, str] = {}
        """Why, by its endpoint."""

    @property
    def tries(self) -> int:
        """Attempts that have failed; of several servers, rounds in which all have."""
        return self._failed // self._servers

    @property
    def is_within_round(self) -> bool:
        """Whether there is a server left that can be asked at once."""
        return self._failed % self._servers != 0

    @property
    def reason(self) -> str:
        """Why there is no answer; of several servers, with the endpoints that it is about."""
        if self._servers == 1:
            return [*self._reasons.values()][-1]
        about: dict[str, list[str]] = {}
        for endpoint in self._settings.server_endpoints:
            if endpoint in self._reasons:
                about.setdefault(self._reasons[endpoint], []).append(endpoint)
        return "; ".join(f"{', '.join(where)}: {why}" for why, where in about.items())

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
        if self._settings.retry_deadline_s == 0 and self.tries == 0:
            return self._settings.timeout_s  # a single try: the deadline is not its limit
        return min(self._settings.timeout_s, max(self.left_s, _LAST_TRY_S))

    def connect_timeout_s(self, timeout_s: float) -> float:
        """How much of its time-out it may wait for a connection: only a moment, while others were not asked yet."""
        return min(timeout_s, _CONNECTS_WITHIN_S) if self._servers > 1 and self.tries == 0 else timeout_s

    def may_try_again(self, failure: BaseException) -> bool:
        """Tenacity's `retry`, asked once for each failed attempt."""
        if not isinstance(failure, Unfinished):
            return False
        self._parked_s += failure.parked_s
        self._failed += 1
        self._reasons.pop(failure.endpoint, None)  # the last one comes last
        self._reasons[failure.endpoint] = str(failure)
        return True

    def is_over(self, _state: RetryCallState) -> bool:
        """Tenacity's `stop`, asked next."""
        return self.left_s <= 0 and not self.is_within_round

    def pause_s(self, _state: RetryCallState) -> float:
        """Tenacity's `wait`."""
        if self.is_within_round:
            return 0
        least_s, bound_s = self._settings.retry_min_s, self._settings.retry_min_s * 2 ** min(self.tries, _DOUBLED_MOST)
        # Not for secrets: it keeps clients out of step.
        drawn_s = random.uniform(least_s, min(bound_s, self._settings.retry_max_s))  # noqa: S311
        return min(drawn_s, max(self.left_s, 0))

    @property
    def _servers(self) -> int:
        return len(self._settings.server_endpoints)


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
        "wait": patience.pause_s,
        "stop": patience.is_over,
        "before_sleep": _teller(settings, patience, on_pause),
        "reraise": True,
    }


def _teller(settings: Settings, patience: Patience, on_pause: OnPause) -> Callable[[RetryCallState], None]:
    def tell(state: RetryCallState) -> None:
        if patience.is_within_round:
            return
        pause_s = state.next_action.sleep if state.next_action is not None else 0.0
        on_pause(Pause(settings.server, patience.tries, patience.reason, pause_s))

    return tell
