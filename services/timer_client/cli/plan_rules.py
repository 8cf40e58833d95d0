"""The rules of plans as they are written at a terminal, and their bounds, as the library takes them."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from timer_client.cli.amounts import taken_for
from timer_client.cli.duration_argument import read_duration
from timer_client.cli.moment_argument import now_ms
from timer_client.cli.moments import moment_ms
from timer_client.cli.steps import duration_in, parse_step, written_out
from timer_client.cli.zones import complete_zone
from timer_protocol.durations import total_ms
from timer_protocol.plan_messages import LEAST_INTERVAL_MS, Every

F = TypeVar("F", bound=Callable[..., Any])
Rule = dict[str, Any]
"""Arguments of `put_plan` and `preview_plan`."""

ZONE_HELP = "Whose clocks the rule goes by, also across their changes: such as Europe/Rome, or UTC."


def zone_option(command: F) -> F:
    """Adds the option `--zone` of a cron rule."""
    return click.option("--zone", metavar="NAME", shell_complete=complete_zone, help=ZONE_HELP)(command)


def rounds_options(command: F) -> F:
    """Adds the options that say how steps go on: `--times` and `--last`."""
    for option in (
        click.option(
            "--last", metavar="[NAME=]DURATION", help="A step in place of the very last one, such as long=15m."
        ),
        click.option(
            "--times", type=click.IntRange(min=1), default=1, show_default=True, help="How often to go through all."
        ),
    ):
        command = option(command)
    return command


def every_rule(words: Sequence[str]) -> Rule:
    """An interval. Raises `click.UsageError`."""
    amounts = read_duration(words)
    if total_ms(*amounts) < LEAST_INTERVAL_MS:
        raise click.UsageError(f"every {' '.join(words)} comes too often: at least 1 second lies between two timers.")
    return {"every": Every(*amounts)}


def cron_rule(words: Sequence[str], zone: str | None) -> Rule:
    """A cron rule, in one word or several. Whether it is one, and its zone, is for the server to say.

    Raises `click.UsageError`.
    """
    if zone is None:
        raise click.UsageError(
            "whose clocks does the rule go by? Give their --zone: such as --zone Europe/Rome, or --zone UTC."
        )
    return {"cron": " ".join(words), "zone": zone}


def steps_rule(words: Sequence[str], times: int, last: str | None) -> Rule:
    """Steps. Tells on stderr what a duration is taken for that may be read in two ways. Raises `click.UsageError`."""
    try:
        steps = [parse_step(word) for word in words]
        out, rounds = written_out(steps, times, None if last is None else parse_step(last))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    for word in words if last is None else [*words, last]:
        if (taken := taken_for([duration_in(word)])) is not None:
            click.echo(f"timer: {taken}", err=True)
    return {"steps": out, "count": rounds}


def read_bound(option: str, text: str | None, zone: str | None) -> int | None:
    """The moment at which a rule begins or ends, on the clocks of its zone or this machine's.

    Raises `click.UsageError`.
    """
    if text is None:
        return None
    try:
        return moment_ms(text, zone, now_ms())
    except ValueError as error:
        raise click.UsageError(f"{option}: {error}") from None
