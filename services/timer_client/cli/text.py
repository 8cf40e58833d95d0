"""Timers and events as text: for people on a terminal, as tab-separated lines elsewhere, as JSON for programs.

What others have written is made `printable`.
"""

import sys
import time
from datetime import datetime

import click
import msgspec

from timer_client.cli.moments import spoken
from timer_client.cli.printable import printable, printable_json
from timer_client.watch import clock_face
from timer_protocol.messages import Event, Timer
from timer_protocol.plurals import counted


def on_terminal() -> bool:
    """Whether the output goes to a terminal."""
    return sys.stdout.isatty()


def show_json(value: object) -> None:
    """Prints a value as one line of JSON, in UTF-8 whatever the terminal's encoding."""
    click.echo(printable_json(msgspec.json.encode(value).decode()).encode())


def show_timer(timer: Timer, *, as_json: bool) -> None:
    """Prints one timer: JSON, a sentence, or a line."""
    if as_json:
        show_json(timer)
    else:
        click.echo(sentence(timer) if on_terminal() else row(timer))


def row(timer: Timer) -> str:
    """A timer as a line: id, state, seconds to go, and its label if it has one."""
    return _columns(timer.id, timer.state, f"{timer.remaining_ms / 1000:.3f}", label=timer.label)


def sentence(timer: Timer) -> str:
    """How a timer stands, in words."""
    return f"{title(timer)} {standing(timer)}."


def standing(timer: Timer) -> str:
    """The part of the sentence after the name."""
    if timer.state == "running" and timer.due_at_ms is not None:
        return f"is running: {clock_face(timer.remaining_ms)} to go, until {until(timer)}"
    if timer.state == "paused":
        return f"is paused with {clock_face(timer.remaining_ms)} to go"
    ended = "" if timer.ended_at_ms is None else f" at {local_time(timer.ended_at_ms)}"
    return f"has fired{ended}" if timer.state == "fired" else f"was cancelled{ended}"


def ended_before(timer: Timer) -> str:
    """That a timer to be started is one that has ended already, without the full stop."""
    ended = "fired" if timer.state == "fired" else "was cancelled"
    at = "" if timer.ended_at_ms is None else f" at {local_time(timer.ended_at_ms)}"
    return f"{title(timer)} was started before and {ended}{at}"


def title(timer: Timer) -> str:
    """A timer's name for people. One without an id is a step, whose plan is told elsewhere."""
    if not timer.id:
        return printable(timer.label)
    return printable(f"{timer.label} ({timer.id})" if timer.label else f"Timer {timer.id}")


def asked(timer: Timer) -> str:
    """What was asked for, as the server repeats it."""
    if timer.at:
        moment = printable(spoken(timer.at, timer.zone or None, time.time_ns() // 1_000_000))
        is_as_asked = timer.state == "running" and timer.version == 1
        return f"rings {moment}, in {clock_face(timer.remaining_ms)}" if is_as_asked else f"asked for {moment}"
    parts = ((timer.hours, "hour"), (timer.minutes, "minute"), (timer.seconds, "second"))
    return ", ".join(counted(amount, unit) for amount, unit in parts)


def event_row(event: Event) -> str:
    """An event as a line: its position, time, kind, id, and the timer's label if it has one."""
    timer = event.timer
    return _columns(f"{event.log}:{event.seq}", moment(event.at_ms), event.kind, timer.id, label=timer.label)


def moment(at_ms: int) -> str:
    """A moment in local time with its offset, to the millisecond."""
    return datetime.fromtimestamp(at_ms / 1000).astimezone().isoformat(timespec="milliseconds")


def until(timer: Timer) -> str:
    """When a running timer is due, and the moment that it was started for, if it was."""
    if timer.due_at_ms is None:
        return ""
    if not timer.at:
        return local_time(timer.due_at_ms)
    # The server's timeline may be off the wall clock by a few milliseconds, and so by a second where they are cut off.
    moment = f"{timer.at} {timer.zone}" if timer.zone else timer.at
    return f"{local_time(round(timer.due_at_ms, -3))} (at {printable(moment)})"


def local_time(at_ms: int) -> str:
    """A moment in local time, with the date if it is not today's."""
    local = datetime.fromtimestamp(at_ms / 1000)
    today = datetime.now().date()
    return local.strftime("%H:%M:%S" if local.date() == today else "%Y-%m-%d %H:%M:%S")


def _columns(*columns: str, label: str) -> str:
    return "\t".join(map(printable, [*columns, label] if label else columns))
