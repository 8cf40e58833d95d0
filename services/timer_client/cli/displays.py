"""Countdowns as plain lines, or as JSON. `bar_display` has those for a terminal."""

from collections.abc import Collection
from typing import Protocol

import click

from timer_client.cli.connection import PauseNotice
from timer_client.cli.text import sentence, show_json, standing, title
from timer_client.retry import Pause
from timer_client.settings import Settings
from timer_client.watch import Countdown, clock_face, next_milestone_ms
from timer_protocol.messages import Timer


class Display(Protocol):
    """Shows countdowns, each from the beginning of its watch to the end of the timer, or of the watch."""

    rings: bool
    """Whether it rings the terminal's bell when a timer fires."""

    def begin(self, countdown: Countdown, /) -> None:
        """A timer as it stands when its watch begins."""

    def change(self, what: str, countdown: Countdown, /) -> None:
        """Something happened to a timer, such as `extended`, but it has not ended."""

    def draw(self, now_s: float, /) -> None:
        """A frame is due."""

    def wait(self, pause: Pause, /) -> None:
        """The server is out of reach; the timers may run on."""

    def resume(self, countdowns: Collection[Countdown], /) -> None:
        """The server is back, and this is how those stand that have not ended."""

    def end(self, timer: Timer, /) -> None:
        """A timer has ended."""

    def leave(self) -> None:
        """The watch is over, with or without the timers' ends."""


class LineDisplay:
    """A line for each event, and some for the time to go. No control codes."""

    rings = False

    def __init__(self, settings: Settings) -> None:
        self.wait = PauseNotice(settings)
        self._countdowns: dict[str, Countdown] = {}
        self._next_ms: dict[str, int] = {}
        self._is_of_several = False

    def begin(self, countdown: Countdown) -> None:
        click.echo(sentence(countdown.timer))
        self._follow(countdown)
        self._is_of_several |= len(self._countdowns) > 1

    def change(self, what: str, countdown: Countdown) -> None:
        click.echo(f"{what.capitalize()}: {title(countdown.timer)} {standing(countdown.timer)}.")
        self._follow(countdown)

    def draw(self, now_s: float) -> None:
        for timer_id, countdown in self._countdowns.items():
            remaining_ms, next_ms = countdown.remaining_ms(now_s), self._next_ms[timer_id]
            if countdown.timer.state == "running" and next_ms and remaining_ms <= next_ms:
                name = f"{title(countdown.timer)}: " if self._is_of_several else ""
                click.echo(f"{name}{clock_face(next_ms)} to go")
                self._next_ms[timer_id] = next_milestone_ms(remaining_ms)

    def resume(self, countdowns: Collection[Countdown]) -> None:
        for countdown in countdowns:
            self._follow(countdown)

    def end(self, timer: Timer) -> None:
        self._countdowns.pop(timer.id, None)
        click.echo(sentence(timer))

    def leave(self) -> None:
        pass

    def _follow(self, countdown: Countdown) -> None:
        self._countdowns[countdown.timer.id] = countdown
        self._next_ms[countdown.timer.id] = next_milestone_ms(countdown.timer.remaining_ms)


class JsonDisplay:
    """A timer as a line of JSON when its watch begins, at each event, and at its end."""

    rings = False

    def __init__(self, settings: Settings) -> None:
        self.wait = PauseNotice(settings)

    def begin(self, countdown: Countdown) -> None:
        show_json(countdown.timer)

    def change(self, _what: str, countdown: Countdown) -> None:
        show_json(countdown.timer)

    def draw(self, now_s: float) -> None:
        pass

    def resume(self, countdowns: Collection[Countdown]) -> None:
        pass

    def end(self, timer: Timer) -> None:
        show_json(timer)

    def leave(self) -> None:
        pass
