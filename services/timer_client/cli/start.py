"""The commands that show a countdown: `start` and `watch`."""

import sys
import time
from collections.abc import Sequence
from typing import Any

import click

from timer_client.calls import Past, TimerSpec, new_id, start_spec
from timer_client.cli import end_command
from timer_client.cli.amounts import Amounts
from timer_client.cli.connection import Failure, PauseNotice, connected, failures_told, settings_of
from timer_client.cli.displays import Display
from timer_client.cli.duration_argument import duration_argument, read_duration
from timer_client.cli.exit_codes import ExitCode
from timer_client.cli.moment_argument import StartCommand, moment_options, read_moment, tell_other_meaning
from timer_client.cli.moments import Moment
from timer_client.cli.notification import notify
from timer_client.cli.options import connection_options, json_option
from timer_client.cli.payloads import read_payload
from timer_client.cli.printable import printable
from timer_client.cli.prompts import ask_for_amounts
from timer_client.cli.text import asked, ended_before, on_terminal, show_timer
from timer_client.cli.timer_ids import timer_ids_argument
from timer_client.cli.transfer import file_type, start_file
from timer_client.cli.watching import chosen_display, command_line
from timer_client.descriptors import WATCH_DESCRIPTORS, check_descriptors
from timer_client.settings import Settings
from timer_protocol.durations import MS_PER_SECOND, total_ms
from timer_protocol.messages import Timer


@click.command(cls=StartCommand)
@duration_argument("[DURATION | H M S | @MOMENT]", required=False)
@moment_options
@click.option(
    "--id",
    "timer_id",
    metavar="ID",
    help="Its id; made where left out. The same start twice is one timer.",
)
@click.option("--label", default="", metavar="TEXT", help="A name for people.")
@click.option("--payload", metavar="JSON", help="Any JSON value, handed to whoever hears of the timer.")
@click.option("--detach", is_flag=True, help="Do not watch it.")
@click.option("--file", "path", type=file_type(), metavar="FILE", help="Start each line of JSON in it; - is stdin.")
@click.option(
    "--atomic",
    is_flag=True,
    help="With --file: start none where a line is not written right; its zone is for the server to check.",
)
@click.option("--notify", "with_notice", is_flag=True, help="Show a notification when it fires.")
@json_option
@connection_options
@click.pass_context
def start(  # noqa: PLR0913 - the options of a command
    context: click.Context,
    *,
    duration: Sequence[str],
    at: str | None,
    zone: str | None,
    past: Past | None,
    timer_id: str | None,
    label: str,
    payload: str | None,
    command: Sequence[str],
    detach: bool,
    path: str | None,
    atomic: bool,
    with_notice: bool,
    as_json: bool,
) -> None:
    """Start a timer and watch it to its end.

    Without a DURATION or MOMENT, hours, minutes and seconds are asked for. A MOMENT is one of the wall clock: the timer
    fires when the server's has reached it, however that is set.

    Ctrl-C leaves the countdown, not the timer: it runs on, and `timer watch` comes back to it. Exit code 0 when it
    fired, 3 when it was cancelled, 4 when the server could not be reached, 1 when a timer of this id had ended before.

    A COMMAND after -- is run when the timer fires, without a shell; nothing runs if this client is gone by then. It
    gets the payload as JSON on its standard input, and TIMER_ID, TIMER_LABEL, TIMER_STATE, TIMER_DUE_AT_MS and
    TIMER_LATE_MS in its environment; the exit code is then that of the COMMAND.
    """
    if path is not None:
        if duration or at or zone or past or timer_id or label or payload or command or with_notice:
            raise click.UsageError(
                "--file has all that is to be started; a DURATION, --at, --id, --label, --payload, --notify and a "
                "command after -- do not go with it"
            )
        start_file(context, path, atomic=atomic, as_json=as_json)
        return
    if atomic:
        raise click.UsageError("--atomic is about --file")
    _check_wishes(command, detach=detach, with_notice=with_notice)
    settings = settings_of(context)
    value = read_payload(payload)
    # Questions go where people see them, and stay out of output for programs.
    questions_to_stderr = as_json or detach or (sys.stdin.isatty() and not on_terminal())
    moment = read_moment(duration, at, zone, past)
    timer_id = settings.id_prefix + new_id() if timer_id is None else timer_id
    when = _asked_amounts(duration, to_stderr=questions_to_stderr) if moment is None else moment.asked(past)
    spec = TimerSpec(id=timer_id, label=label, payload=value, **when)
    timer, had_ended = _started(context, settings, spec)
    if detach or (had_ended and as_json):
        show_timer(timer, as_json=as_json)
    if (detach or as_json) and not had_ended:
        _tell_next_day(timer, moment)
    if had_ended:
        notice = Failure(
            f"{ended_before(timer)}; `{command_line(context, settings, 'restart', timer_id)}` runs it again"
        )
        if not detach:
            raise notice
        notice.show()
    elif not detach:
        if not as_json:
            click.echo(f"Server: {asked(timer)}, timer {printable(timer.id)}")
        _see_off(context, settings, timer, command, with_notice=with_notice, as_json=as_json)


@click.command
@timer_ids_argument
@json_option
@connection_options
@click.pass_context
def watch(context: click.Context, timer_ids: Sequence[str], *, as_json: bool) -> None:
    """Watch timers to their ends.

    Ctrl-C leaves the countdown, not the timer. Exit code 0 when all have fired, 3 when one was cancelled, 4 when the
    server could not be reached.
    """
    settings = settings_of(context)
    _watch(context, settings, list(dict.fromkeys(timer_ids)), chosen_display(settings, as_json=as_json))


def _tell_next_day(timer: Timer, moment: Moment | None) -> None:
    """Says on stderr that a time of the day is tomorrow's, as today's has passed."""
    if moment is not None and moment.is_next_day:
        click.echo(f"timer: {asked(timer)}", err=True)


def _started(context: click.Context, settings: Settings, spec: TimerSpec) -> tuple[Timer, bool]:
    """The timer, and whether it had ended before it was asked for here.

    Where the reply to the first try was lost, the timer may also have been started by it, and have ended meanwhile.
    """
    on_pause = PauseNotice(settings)
    asked_at_s = time.monotonic()
    try:
        with connected(context, on_pause) as client:
            timer = client.call(start_spec(spec))
    except KeyboardInterrupt:
        click.echo(f"It may have started. To look: {command_line(context, settings, 'get', spec.id)}", err=True)
        raise
    tried_ms = (time.monotonic() - asked_at_s) * MS_PER_SECOND if on_pause.pauses else 0
    return timer, timer.ended_at_ms is not None and timer.ended_at_ms - timer.started_at_ms > tried_ms


def _check_wishes(command: Sequence[str], *, detach: bool, with_notice: bool) -> None:
    """Ends the command where what is to happen when the timer fires cannot be done."""
    for given, what in ((command, "the command after --"), (with_notice, "--notify")):
        if detach and given:
            raise click.UsageError(f"--detach leaves nobody to see to {what}: that takes a client that watches.")
    if command:
        end_command.check(command)


def _see_off(
    context: click.Context,
    settings: Settings,
    timer: Timer,
    command: Sequence[str],
    *,
    with_notice: bool,
    as_json: bool,
) -> None:
    """Watches a timer that was started, and does what is to be done when it fires."""
    if command:
        runs = f"the command {command[0]} runs when it fires; nothing runs if this client is gone by then"
        click.echo(printable(f"timer: {runs}"), err=True)
    display = chosen_display(settings, as_json=as_json)
    (fired,) = _watch(context, settings, [timer.id], display, command)
    if with_notice:
        notify(fired, with_bell=not display.rings)
    if command:
        context.exit(end_command.run(command, fired))


def _watch(
    context: click.Context, settings: Settings, timer_ids: Sequence[str], display: Display, command: Sequence[str] = ()
) -> list[Timer]:
    """The timers, once all have fired. Ends the command where one was cancelled."""
    import asyncio  # noqa: PLC0415 - with --detach nothing is watched

    from timer_client.cli.countdown import watch as watch_timers  # noqa: PLC0415 - nor this
    from timer_client.cli.sigterm import until_sigterm  # noqa: PLC0415 - nor this

    try:
        with failures_told():
            check_descriptors(WATCH_DESCRIPTORS)  # asyncio leaves a traceback where it finds too few
            watching = watch_timers(settings, timer_ids, display)
            timers = asyncio.run(until_sigterm(watching))
    except KeyboardInterrupt:
        what = "the timer goes" if len(timer_ids) == 1 else "the timers go"
        left = f"{what} on, and the command {printable(command[0])} will not run" if command else f"{what} on"
        click.echo(f"Left; {left}. To come back: {command_line(context, settings, 'watch', *timer_ids)}", err=True)
        raise
    if any(timer.state == "cancelled" for timer in timers):
        context.exit(ExitCode.CANCELLED)
    return timers


def _asked_amounts(duration: Sequence[str], *, to_stderr: bool) -> dict[str, Any]:
    """The members of the request that say how long the timer is to run."""
    amounts = _read_time_to_run(duration) if duration else ask_for_amounts(to_stderr=to_stderr)
    return amounts._asdict()


def _read_time_to_run(words: Sequence[str]) -> Amounts:
    amounts = read_duration(words)
    tell_other_meaning(words)
    total = total_ms(*amounts)
    if total <= 0:
        what = "is negative" if total < 0 else "is no time at all"
        raise click.UsageError(f"{' '.join(words)} {what}: a timer needs more than zero.")
    return amounts
