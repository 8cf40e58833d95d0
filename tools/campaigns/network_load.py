"""A load through the client library, and what has to come of it.

A story is a few calls and the timers that they leave. Stories follow from a seed, so whoever knows the seed knows what
has to be there. This file needs the client library only: a client container can run it by itself, and then tells
every answer in a line of JSON.
"""

import asyncio
import json
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from timer_client import AsyncTimerClient, Timer, TimerClient, TimerError, TimerSpec

Tell = Callable[["Told"], None]

PAUSE_S = 0.01
"""Between two stories: the load is there to be disturbed, not to fill the machine."""

LONGEST_S = 1.5
"""What a timer that is to fire gets at most."""


@dataclass(frozen=True)
class Outcome:
    """What a timer has come to once its story is told."""

    state: str
    duration_ms: int
    kinds: tuple[str, ...]
    """Its events, from the first to the last."""


@dataclass(frozen=True)
class Story:
    """Calls, as method and arguments, and the outcome of every timer in them."""

    steps: list[tuple[str, dict[str, Any]]]
    outcomes: dict[str, Outcome]


@dataclass(frozen=True)
class Told:
    """The answer to one call of a story: the timer and its version, or the error."""

    story: int
    at_s: float
    id: str = ""
    version: int = 0
    last: bool = False
    """Whether the story ends here."""
    error: str = ""


def stories(prefix: str, seed: int) -> Iterator[Story]:
    """Stories without end, about timers whose ids begin with the prefix."""
    dice = random.Random(seed)  # noqa: S311 - chance that can be repeated
    tell = (_that_fires, _that_is_changed, _of_many)
    number = 0
    while True:
        yield dice.choices(tell, weights=(4, 4, 1))[0](f"{prefix}{number}", dice)
        number += 1


def _that_fires(timer_id: str, dice: random.Random) -> Story:
    duration_ms = _short_ms(dice)
    start = {"id": timer_id, "seconds": duration_ms / 1000, "label": "fires"}
    return Story([("start", start)], {timer_id: Outcome("fired", duration_ms, ("started", "fired"))})


def _of_many(timer_id: str, dice: random.Random) -> Story:
    durations_ms = {f"{timer_id}.{place}": _short_ms(dice) for place in range(dice.randint(2, 30))}
    specs = [TimerSpec(id=one, seconds=duration_ms / 1000) for one, duration_ms in durations_ms.items()]
    ends = {one: Outcome("fired", duration_ms, ("started", "fired")) for one, duration_ms in durations_ms.items()}
    return Story([("start_many", {"specs": specs})], ends)


def _that_is_changed(timer_id: str, dice: random.Random) -> Story:
    """A timer of an hour, with changes that would each show if they were made twice or not at all."""
    steps: list[tuple[str, dict[str, Any]]] = [("start", {"id": timer_id, "hours": 1, "payload": {"of": timer_id}})]
    kinds = ["started"]
    duration_ms = 3_600_000
    for number in range(dice.randint(1, 4)):
        key = f"{timer_id}#{number}"
        if dice.random() < 0.25:
            steps.append(("restart", {"timer": timer_id, "key": key}))
            kinds.append("restarted")
            duration_ms = 3_600_000
        else:
            by_ms = dice.choice((-1, 1)) * dice.randint(1, 60_000)
            steps.append(("extend", {"timer": timer_id, "seconds": by_ms / 1000, "key": key}))
            kinds.append("extended")
            duration_ms += by_ms
    # Pausing and cancelling carry no key: a copy that comes late must find nothing after them.
    end, state = dice.choice((("", "running"), ("pause", "paused"), ("cancel", "cancelled")))
    if end:
        steps.append((end, {"timer": timer_id}))
        kinds.append(state)
    return Story(steps, {timer_id: Outcome(state, duration_ms, tuple(kinds))})


def _short_ms(dice: random.Random) -> int:
    return dice.randint(50, round(LONGEST_S * 1000))


def run_blocking(client: TimerClient, told: Iterator[Story], tell: Tell, stop: threading.Event) -> None:
    """Plays stories until it is stopped, to the end of the one it is in."""
    for number, story in enumerate(told):
        for step, (method, arguments) in enumerate(story.steps, 1):
            try:
                answer = getattr(client, method)(**arguments)
            except TimerError as error:
                tell(_failed(number, method, error))
                break
            tell(_answered(number, answer, last=step == len(story.steps)))
        if stop.wait(PAUSE_S):
            return


async def run_async(
    client: AsyncTimerClient, told: Iterator[Story], tell: Tell, stop: threading.Event, at_once: int
) -> None:
    """The same in tasks of one client."""
    numbered = enumerate(told)
    await asyncio.gather(*(_run_in_task(client, numbered, tell, stop) for _ in range(at_once)))


async def _run_in_task(
    client: AsyncTimerClient, told: Iterator[tuple[int, Story]], tell: Tell, stop: threading.Event
) -> None:
    for number, story in told:
        for step, (method, arguments) in enumerate(story.steps, 1):
            try:
                answer = await getattr(client, method)(**arguments)
            except TimerError as error:
                tell(_failed(number, method, error))
                break
            tell(_answered(number, answer, last=step == len(story.steps)))
        await asyncio.sleep(PAUSE_S)
        if stop.is_set():
            return


def _failed(number: int, method: str, error: TimerError) -> Told:
    return Told(number, time.monotonic(), error=f"{method}: {type(error).__name__}: {error}")


def _answered(number: int, answer: Timer | list[Timer], *, last: bool) -> Told:
    timer = answer[-1] if isinstance(answer, list) else answer
    return Told(number, time.monotonic(), timer.id, timer.version, last)


def main(prefix: str, seed: str) -> None:
    """Plays stories until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with TimerClient() as client:
        run_blocking(client, stories(prefix, int(seed)), lambda told: print(json.dumps(asdict(told)), flush=True), stop)


if __name__ == "__main__":
    main(*sys.argv[1:])
