"""The command `timer explain`: what happened to a timer, from the log, and what comes next."""

from collections.abc import Iterator, Sequence
from typing import Literal

import click
from msgspec import UNSET, Struct

from timer_client.cli.connection import connected
from timer_client.cli.options import connection_options, json_option
from timer_client.cli.printable import printable
from timer_client.cli.text import asked, local_time, moment, sentence, show_json
from timer_client.cli.timer_ids import timer_id_argument
from timer_client.client import TimerClient
from timer_client.cursor import START
from timer_client.errors import TimerNotFound
from timer_client.watch import clock_face
from timer_protocol.durations import MS_PER_SECOND
from timer_protocol.limits import PAGE_MAXIMUM
from timer_protocol.messages import Event, Timer
from timer_protocol.plurals import counted

Next = Literal["fires", "waits", "forgotten", "none"]


class Explanation(Struct, frozen=True):
    """What `--json` prints. `removed` counts the timer's events that retention has removed.

    `late_ms` is how long after its moment the timer fired the last time. `next` says that it fires at `next_at_ms`,
    that it waits to be resumed, that it is forgotten at `next_at_ms` at the latest, or that nothing comes any more.
    `queues` are those that hand its ends to workers.
    """

    id: str
    timer: Timer | None
    events: list[Event]
    removed: int
    late_ms: int | None
    next: Next
    next_at_ms: int | None
    queues: list[str]


@click.command
@timer_id_argument
@json_option
@connection_options
@click.pass_context
def explain(context: click.Context, timer_id: str, *, as_json: bool) -> None:
    """Show what happened to a timer, and what comes next.

    It is read from the log, in which the server keeps what happened for a time, and longer what is needed to go on.
    Queues that hand out its ends are named.
    """
    with connected(context) as client:
        explanation = _explained(client, timer_id, client.info().limits.retention_s)
    if as_json:
        show_json(explanation)
    else:
        for line in _lines(explanation):
            click.echo(line)


def _explained(client: TimerClient, timer_id: str, retention_s: int) -> Explanation:
    """Raises `TimerNotFound` where the log does not know the timer either."""
    timer, not_found = None, None
    try:
        timer = client.get(timer_id)
    except TimerNotFound as error:
        not_found = error
    events = [event for event in _events(client, timer_id) if event.timer.id == timer_id]
    if timer is None and not events and not_found is not None:
        raise not_found
    while timer is not None and events and events[-1].timer.version > timer.version:
        events.pop()  # it came after the timer was asked for
    late_ms = next((_late_ms(event) for event in reversed(events) if event.kind == "fired"), None)
    comes, at_ms = _next(timer, retention_s)
    queues = [queue.queue for queue in client.queues() if timer_id.startswith(queue.prefix)]
    return Explanation(timer_id, timer, events, sum(_gaps(events, timer)), late_ms, comes, at_ms, queues)


def _events(client: TimerClient, prefix: str) -> Iterator[Event]:
    """The events that the log has of timers whose id begins so. There is no way to ask for those of one alone."""
    page = client.read_events(START, prefix, PAGE_MAXIMUM)
    yield from page.events
    while page.more:
        page = client.read_events(page.next, prefix, PAGE_MAXIMUM)
        yield from page.events


def _gaps(events: Sequence[Event], timer: Timer | None) -> list[int]:
    """How many events are gone before each event, and after the last: each event raises the version by one."""
    versions = [0, *(event.timer.version for event in events)]
    gaps = [
        0 if event.kind == "started" else max(event.timer.version - before - 1, 0)
        for before, event in zip(versions, events, strict=False)
    ]
    return [*gaps, max(timer.version - versions[-1], 0) if timer else 0]


def _next(timer: Timer | None, retention_s: int) -> tuple[Next, int | None]:
    if timer is None:
        return "none", None
    if timer.state == "running":
        return "fires", timer.due_at_ms
    if timer.ended_at_ms is None:
        return "waits", None
    return "forgotten", timer.ended_at_ms + retention_s * MS_PER_SECOND


def _lines(explanation: Explanation) -> Iterator[str]:
    timer, events = explanation.timer, explanation.events
    yield sentence(timer) if timer else f"Timer {printable(explanation.id)} has ended and is forgotten."
    gaps = _gaps(events, timer)
    for before, event, gap in zip([None, *events], events, gaps, strict=False):
        yield from _gap(gap)
        yield f"{moment(event.at_ms)}  {event.kind:9}  {_told(event, before)}".rstrip()
    yield from _gap(gaps[-1])
    yield f"Next: {_told_next(explanation)}."
    if explanation.queues:
        yield f"Queues that hand out its ends: {', '.join(explanation.queues)} (timer queue show)."


def _gap(count: int) -> Iterator[str]:
    if count:
        yield f"({counted(count, 'event')} here that the server keeps no longer)"


def _told(event: Event, before: Event | None) -> str:
    """What there is to say of an event beside its kind."""
    timer = event.timer
    left = clock_face(timer.remaining_ms)
    due = "" if timer.due_at_ms is None else f"due at {local_time(timer.due_at_ms)}"
    match event.kind:
        case "started" | "restarted":
            return f"for {_for(timer)}, {due}"
        case "resumed":
            return f"with {left} to go, {due}"
        case "paused":
            return f"with {left} to go"
        case "extended":
            why = "the wall clock was set, " if event.cause is not UNSET else _by(event, before)
            return f"{why}{left} to go" + (f", {due}" if due else "")
        case "fired":
            return f"{_late_ms(event)} ms late"
        case "cancelled":
            return ""


def _for(timer: Timer) -> str:
    """What was asked for: the amounts, or a moment of the wall clock."""
    if timer.at is UNSET:
        return asked(timer)
    return printable(timer.at if timer.zone is UNSET else f"{timer.at} {timer.zone}")


def _by(event: Event, before: Event | None) -> str:
    """By how much a timer was extended, where the event before is there to tell."""
    if before is None or before.timer.version != event.timer.version - 1:
        return ""
    by_ms = event.timer.duration_ms - before.timer.duration_ms
    return f"by {'-' if by_ms < 0 else ''}{clock_face(abs(by_ms))}, "


def _late_ms(event: Event) -> int | None:
    """How long after its moment a timer fired."""
    due_at_ms = event.timer.due_at_ms
    return None if due_at_ms is None else max(event.at_ms - due_at_ms, 0)


def _told_next(explanation: Explanation) -> str:
    at = "" if explanation.next_at_ms is None else local_time(explanation.next_at_ms)
    match explanation.next:
        case "fires":
            return f"it fires at {at}"
        case "waits":
            return "it waits until it is resumed, restarted or cancelled"
        case "forgotten":
            forgotten = f"it is forgotten at {at} at the latest, and its id is free then"
            return f"nothing of its own, unless it is restarted; {forgotten}"
        case "none":
            return "nothing; the id is free"
