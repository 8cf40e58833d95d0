"""A countdown on a terminal, as plain lines, or as JSON."""

import time
from typing import Protocol

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from timer_client.cli.connection import PauseNotice
from timer_client.cli.text import printable, sentence, show_json, standing, title
from timer_client.retry import Pause
from timer_client.settings import Settings
from timer_client.watch import Countdown, clock_face, next_milestone_ms
from timer_protocol.messages import EventKind, Timer

BELL = "\a"

_BAR_WIDTH = 12
_NAME_WIDTH = 10
_CLOCK_WIDTH = 12
"""The least width of the parts of the line, however narrow the terminal is."""


class Display(Protocol):
    """Shows a countdown from the beginning of a watch to the end of the timer or of the watch."""

    def begin(self, countdown: Countdown, /) -> None:
        """The timer as it stands when the watch begins."""

    def change(self, kind: EventKind, countdown: Countdown, /) -> None:
        """Something happened to the timer, but it has not ended."""

    def draw(self, now_s: float, /) -> None:
        """A frame is due."""

    def wait(self, pause: Pause, /) -> None:
        """The server is out of reach; the timer may run on."""

    def resume(self, countdown: Countdown, /) -> None:
        """The server is back."""

    def end(self, timer: Timer, /) -> None:
        """The timer has ended."""

    def leave(self) -> None:
        """The watch is over, with or without the timer's end."""


class BarDisplay:
    """A progress bar on a terminal, and the bell."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[clock]}", markup=False),
            console=console,
            auto_refresh=False,
            transient=True,
            expand=True,
        )
        self._task = self._progress.add_task("", total=1.0, clock="")
        self._countdown: Countdown | None = None
        self._waiting = ""

    def begin(self, countdown: Countdown) -> None:
        self._show(countdown)
        self._progress.start()

    def change(self, _kind: EventKind, countdown: Countdown) -> None:
        self._show(countdown)

    def draw(self, now_s: float) -> None:
        if self._countdown is None:
            return
        timer = self._countdown.timer
        remaining_ms = self._countdown.remaining_ms(now_s)
        state = self._waiting or ("paused" if timer.state == "paused" else "")
        if not state and remaining_ms == 0:
            state = "ending"
        clock = f"{state} {clock_face(remaining_ms)}".strip()
        room = max(self._console.width - len(clock) - _BAR_WIDTH, _NAME_WIDTH)
        self._progress.update(
            self._task,
            description=_shortened(printable(timer.label) or timer.id, room),
            completed=self._countdown.done(now_s),
            clock=clock,
        )
        self._progress.refresh()

    def wait(self, pause: Pause) -> None:
        notice = f"waiting for {pause.endpoint} (try {pause.tries}) …"
        fits = len(notice) + _NAME_WIDTH + _BAR_WIDTH + _CLOCK_WIDTH <= self._console.width
        self._waiting = notice if fits else f"waiting (try {pause.tries}) …"

    def resume(self, countdown: Countdown) -> None:
        self._waiting = ""
        self._show(countdown)

    def end(self, timer: Timer) -> None:
        self._progress.stop()
        bell = BELL if timer.state == "fired" else ""
        self._console.print(Text(sentence(timer)))
        self._console.file.write(bell)
        self._console.file.flush()

    def leave(self) -> None:
        self._progress.stop()

    def _show(self, countdown: Countdown) -> None:
        self._countdown = countdown
        self.draw(time.monotonic())


class LineDisplay:
    """A line for each event, and some for the time to go. No control codes."""

    def __init__(self, settings: Settings) -> None:
        self.wait = PauseNotice(settings)
        self._countdown: Countdown | None = None
        self._next_ms = 0

    def begin(self, countdown: Countdown) -> None:
        click.echo(sentence(countdown.timer))
        self._follow(countdown)

    def change(self, kind: EventKind, countdown: Countdown) -> None:
        click.echo(f"{kind.capitalize()}: {title(countdown.timer)} {standing(countdown.timer)}.")
        self._follow(countdown)

    def draw(self, now_s: float) -> None:
        if self._countdown is None or self._countdown.timer.state != "running":
            return
        remaining_ms = self._countdown.remaining_ms(now_s)
        if self._next_ms and remaining_ms <= self._next_ms:
            click.echo(f"{clock_face(self._next_ms)} to go")
            self._next_ms = next_milestone_ms(remaining_ms)

    def resume(self, countdown: Countdown) -> None:
        self._follow(countdown)

    def end(self, timer: Timer) -> None:
        click.echo(sentence(timer))

    def leave(self) -> None:
        pass

    def _follow(self, countdown: Countdown) -> None:
        self._countdown = countdown
        self._next_ms = next_milestone_ms(countdown.timer.remaining_ms)


class JsonDisplay:
    """The timer as a line of JSON when the watch begins, at each event, and at its end."""

    def __init__(self, settings: Settings) -> None:
        self.wait = PauseNotice(settings)

    def begin(self, countdown: Countdown) -> None:
        show_json(countdown.timer)

    def change(self, _kind: EventKind, countdown: Countdown) -> None:
        show_json(countdown.timer)

    def draw(self, now_s: float) -> None:
        pass

    def resume(self, countdown: Countdown) -> None:
        pass

    def end(self, timer: Timer) -> None:
        show_json(timer)

    def leave(self) -> None:
        pass


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
