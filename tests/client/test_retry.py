"""When an attempt is repeated, and when no more."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from timer_client import Pause, Settings
from timer_client.retry import Patience, Postponed, Unanswered, Unfinished, try_awaitable, try_blocking

Attempt = Callable[[], None]
Try = Callable[[Attempt, Settings, list[Pause]], Patience]


def _settings(**changes: Any) -> Settings:
    return Settings(**{"retry_deadline_s": 0.3, "retry_min_s": 0.01, "retry_max_s": 0.04, **changes})


def _blocking(attempt: Attempt, settings: Settings, pauses: list[Pause]) -> Patience:
    patience = Patience(settings)
    try_blocking(attempt, settings, patience, pauses.append, time.sleep)
    return patience


def _awaitable(attempt: Attempt, settings: Settings, pauses: list[Pause]) -> Patience:
    async def attempted() -> None:
        attempt()

    async def run() -> Patience:
        patience = Patience(settings)
        await try_awaitable(attempted, settings, patience, pauses.append, asyncio.sleep)
        return patience

    return asyncio.run(run())


@pytest.fixture(params=[_blocking, _awaitable], ids=["blocking", "awaitable"])
def try_it(request: pytest.FixtureRequest) -> Try:
    return request.param


class Failing:
    """An attempt that fails so many times."""

    def __init__(self, times: int, failure: Exception | None = None) -> None:
        self.times = times
        self.failure = failure or Unanswered("nobody there")
        self.made = 0

    def __call__(self) -> None:
        self.made += 1
        if self.made <= self.times:
            raise self.failure


class FailingInTurn:
    """An attempt that fails for one reason after the other."""

    def __init__(self, failures: list[Unfinished]) -> None:
        self.failures = failures
        self.made = 0

    def __call__(self) -> None:
        self.made += 1
        if self.failures:
            raise self.failures.pop(0)


def test_success_is_not_repeated(try_it: Try) -> None:
    attempt = Failing(0)
    pauses: list[Pause] = []
    try_it(attempt, _settings(), pauses)
    assert (attempt.made, pauses) == (1, [])


def test_what_may_pass_is_repeated_after_a_pause(try_it: Try) -> None:
    attempt = Failing(3)
    pauses: list[Pause] = []
    patience = try_it(attempt, _settings(), pauses)
    assert attempt.made == 4
    assert patience.tries == 3
    assert [pause.tries for pause in pauses] == [1, 2, 3]
    assert {pause.reason for pause in pauses} == {"nobody there"}
    assert {pause.endpoint for pause in pauses} == {_settings().server}
    assert all(0.01 <= pause.pause_s <= 0.04 for pause in pauses)


def test_pauses_grow_and_are_random(try_it: Try) -> None:
    pauses: list[Pause] = []
    try_it(Failing(8), _settings(retry_deadline_s=30, retry_min_s=0.001, retry_max_s=0.05), pauses)
    bounds = [min(0.001 * 2**tries, 0.05) for tries in range(1, 9)]
    assert all(0.001 <= pause.pause_s <= bound for pause, bound in zip(pauses, bounds, strict=True))
    assert len({pause.pause_s for pause in pauses}) > 4


@pytest.mark.alone
def test_it_ends_at_the_deadline_with_the_last_failure(try_it: Try) -> None:
    attempt = Failing(1000)
    started_s = time.monotonic()
    with pytest.raises(Unanswered, match="nobody there"):
        try_it(attempt, _settings(), [])
    assert 0.3 <= time.monotonic() - started_s < 1.5
    assert attempt.made > 5


def test_a_last_try_is_made_right_at_the_deadline(try_it: Try) -> None:
    pauses: list[Pause] = []
    attempt = Failing(1000)
    with pytest.raises(Unfinished):
        try_it(attempt, _settings(retry_deadline_s=0.1, retry_min_s=20, retry_max_s=20), pauses)
    assert attempt.made == 2
    assert pauses[0].pause_s == pytest.approx(0.1, abs=0.05)


def test_without_a_deadline_there_is_one_try(try_it: Try) -> None:
    attempt = Failing(1000)
    with pytest.raises(Unfinished):
        try_it(attempt, _settings(retry_deadline_s=0), [])
    assert attempt.made == 1


def test_several_servers_are_asked_at_once_and_a_pause_follows_when_all_have_failed(try_it: Try) -> None:
    servers = ("tcp://a:1", "tcp://b:2", "tcp://c:3")
    failures = [Unanswered(why, endpoint=servers[place]) for why in ("down", "slow") for place in (1, 2, 0)]
    failures[1] = Postponed("busy", endpoint=servers[2])
    attempt = FailingInTurn(failures)
    pauses: list[Pause] = []
    patience = try_it(attempt, _settings(server=",".join(servers)), pauses)
    assert attempt.made == 7
    assert patience.tries == 2
    assert [(pause.tries, pause.reason) for pause in pauses] == [
        (1, "tcp://a:1, tcp://b:2: down; tcp://c:3: busy"),
        (2, "tcp://a:1, tcp://b:2, tcp://c:3: slow"),
    ]


def test_without_a_deadline_each_of_several_servers_is_asked_once(try_it: Try) -> None:
    attempt = Failing(1000)
    with pytest.raises(Unfinished):
        try_it(attempt, _settings(server="tcp://a:1,tcp://b:2", retry_deadline_s=0), [])
    assert attempt.made == 2


def test_a_connection_gets_a_moment_only_where_another_server_was_not_asked_yet() -> None:
    alone, several = Patience(_settings()), Patience(_settings(server="tcp://a:1,tcp://b:2"))
    assert [alone.connect_timeout_s(5), several.connect_timeout_s(5), several.connect_timeout_s(0.3)] == [5, 1, 0.3]
    for _ in range(2):
        several.may_try_again(Unanswered("down"))
    assert several.connect_timeout_s(5) == 5


def test_other_errors_end_it_at_once(try_it: Try) -> None:
    attempt = Failing(5, ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        try_it(attempt, _settings(), [])
    assert attempt.made == 1


def test_an_answer_that_may_pass_is_repeated(try_it: Try) -> None:
    attempt = Failing(2, Postponed("shutting down"))
    try_it(attempt, _settings(), [])
    assert attempt.made == 3


def test_time_that_the_server_holds_a_request_back_does_not_count(try_it: Try) -> None:
    attempt = Failing(30, Unanswered("lost", parked_s=1.0))
    try_it(attempt, _settings(retry_deadline_s=0.01, retry_min_s=0.001, retry_max_s=0.001), [])
    assert attempt.made == 31


def test_a_try_gets_its_time_out_or_what_is_left() -> None:
    assert Patience(Settings(timeout_s=5, retry_deadline_s=60)).attempt_timeout_s() == 5
    assert Patience(Settings(timeout_s=5, retry_deadline_s=2)).attempt_timeout_s() == pytest.approx(2, abs=0.1)
    assert Patience(Settings(timeout_s=5, retry_deadline_s=0)).attempt_timeout_s() == 5
