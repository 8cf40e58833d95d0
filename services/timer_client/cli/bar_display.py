"""Countdowns as progress bars on a terminal, one below the other, and the bell at each end."""

import time
from collections.abc import Collection, Sequence

from rich.cells import get_character_cell_size
from rich.console import Console, RenderableType
from rich.control import Control
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.segment import ControlType
from rich.table import Table
from rich.text import Text

from timer_client.cli.printable import printable
from timer_client.cli.text import sentence
from timer_client.retry import Pause
from timer_client.watch import Countdown, clock_face
from timer_protocol.messages import Timer

BELL = "\a"

BAR_CELLS = 12
NAME_CELLS = 10
"""The least room for bar and name; a terminal that has not even that shows the clock alone, or name and clock."""

_WIDENS = "\ufe0f"
"""Asks for the wide form of the character before it."""


class BarDisplay:
    """A line for each timer: its name, a progress bar and the time to go, which is never cut."""

    rings = True

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._countdowns: dict[str, Countdown] = {}
        self._notices: tuple[str, ...] = ()
        self._drawn_cells: list[int] = []

    def begin(self, countdown: Countdown) -> None:
        self._countdowns[countdown.timer.id] = countdown
        self._live.start()
        self.draw(time.monotonic())

    def change(self, _what: str, countdown: Countdown) -> None:
        self._countdowns[countdown.timer.id] = countdown
        self.draw(time.monotonic())

    def draw(self, now_s: float) -> None:
        if not self._countdowns:
            return
        self._take_back_wrapped_lines()
        countdowns = list(self._countdowns.values())
        width = max(self._console.width, 1)
        names = [self._encodable(printable(each.timer.label) or each.timer.id) for each in countdowns]
        clocks = [self._encodable(_clock(each, now_s, self._notices, width)) for each in countdowns]
        name_cells, bar_cells = room(width, max(map(cells, names)), max(map(cells, clocks)))
        grid = Table.grid(padding=(0, 1, 0, 0), pad_edge=False)
        for countdown, name, clock in zip(countdowns, names, clocks, strict=True):
            parts: list[RenderableType] = [_line(shortened(name, name_cells))] if name_cells else []
            if bar_cells:
                parts.append(ProgressBar(total=1.0, completed=countdown.done(now_s), width=bar_cells))
            grid.add_row(*parts, _line(clock))
        self._live.update(grid, refresh=True)
        self._drawn_cells = [width] * len(countdowns)

    def wait(self, pause: Pause) -> None:
        tries = f"(try {pause.tries}) …"
        self._notices = (printable(f"waiting for {pause.endpoint} {tries}"), f"waiting {tries}")

    def resume(self, countdowns: Collection[Countdown]) -> None:
        self._notices = ()
        for countdown in countdowns:
            self._countdowns[countdown.timer.id] = countdown
        self.draw(time.monotonic())

    def end(self, timer: Timer) -> None:
        self._countdowns.pop(timer.id, None)
        if self._countdowns:
            self.draw(time.monotonic())
        else:
            self.leave()
        self._console.print(Text(sentence(timer)), soft_wrap=True)
        if timer.state == "fired":
            self._console.file.write(BELL)
        self._console.file.flush()

    def leave(self) -> None:
        self._take_back_wrapped_lines()
        self._live.stop()

    def _take_back_wrapped_lines(self) -> None:
        """Erases the rows that the lines on the screen have in excess, since the terminal was made narrower.

        Terminals wrap what is on the screen then, and rich knows nothing of it. It erases one row for each line.
        """
        width = max(self._console.width, 1)
        excess = sum(-(-drawn // width) - 1 for drawn in self._drawn_cells)
        if excess:
            up_a_row = ((ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2))
            self._console.control(
                Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2), *up_a_row * excess)
            )
        self._drawn_cells = []

    def _encodable(self, text: str) -> str:
        """The text as the terminal will show it: with escapes for letters that its encoding lacks."""
        encoding = self._console.encoding
        return text.encode(encoding, "backslashreplace").decode(encoding)


def room(width: int, name: int, clock: int) -> tuple[int, int]:
    """The cells for name and bar on a line beside the clock, which has all it needs; 0 for what there is no room for.

    `name` and `clock` are the cells that they would take.
    """
    left = width - clock - 2
    if left >= min(name, NAME_CELLS) + BAR_CELLS:
        name_cells = min(name, left - BAR_CELLS)
        return name_cells, left - name_cells
    return max(min(name, left + 1), 0), 0


def shortened(text: str, most_cells: int) -> str:
    """Text that takes no more than so many cells; a point at its end says where some is cut off."""
    if cells(text) <= most_cells:
        return text
    taken = 0
    for end, character in enumerate(text):
        taken += cells(character)
        if taken > most_cells - 1:
            return f"{text[:end]}."
    return text


def cells(text: str) -> int:
    """The most cells that a terminal takes for a text. Not all of them join emojis, as `rich.cells` does."""
    return sum(map(get_character_cell_size, text)) + text.count(_WIDENS)


def _clock(countdown: Countdown, now_s: float, notices: Sequence[str], width: int) -> str:
    """The time to go, behind the most telling word on the timer's state that leaves room for the name."""
    remaining_ms = countdown.remaining_ms(now_s)
    face = clock_face(remaining_ms)
    state = "paused" if countdown.timer.state == "paused" else "ending" if remaining_ms == 0 else ""
    for word in notices or (state,):
        if word and cells(word) + len(face) + NAME_CELLS + 2 <= width:
            return f"{word} {face}"
    return face


def _line(text: str) -> Text:
    return Text(text, no_wrap=True, overflow="crop")
