"""The moment of the wall clock that a timer may be started for: `@14:30`, or the options `--at`, `--zone`, `--past`."""

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, get_args

import click

from timer_client.calls import Past
from timer_client.cli.end_command import DurationThenCommand
from timer_client.cli.moments import EXAMPLES, Moment, is_time_of_day, parse_moment
from timer_client.cli.zones import complete_zone

F = TypeVar("F", bound=Callable[..., Any])

_MARK = "@"
"""What a moment begins with where a duration may stand as well."""


class StartCommand(DurationThenCommand):
    """A command that takes a duration or a moment, and after `--` another command."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the forms of both."""
        super().format_epilog(ctx, formatter)
        with formatter.section("Moments"):
            formatter.write_dl(EXAMPLES)


def moment_options(command: F) -> F:
    """Adds the options of a moment, for `read_moment`."""
    for option in (
        click.option(
            "--past",
            type=click.Choice(get_args(Past)),
            help="If it has passed: an error, or an end at once.",
        ),
        click.option("--zone", metavar="NAME", shell_complete=complete_zone, help="The time zone of the moment."),
        click.option("--at", metavar="MOMENT", help="When it is to fire; @MOMENT says the same."),
    ):
        command = option(command)
    return command


def read_moment(words: Sequence[str], at: str | None, zone: str | None, past: Past | None) -> Moment | None:
    """The moment in the words or in `--at`; None where there is none. Raises `click.UsageError`."""
    text = " ".join(words)
    if at is not None and words:
        raise click.UsageError(f"--at is a moment and {text!r} is how long, or another one: give one of them")
    if at is None and text.startswith(_MARK):
        at = text.removeprefix(_MARK)
    if at is None:
        if zone is not None or past is not None:
            raise click.UsageError("--zone and --past belong to a moment: give --at, or write it as in @14:30")
        return None
    try:
        return parse_moment(at, zone, now_ms())
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def tell_other_meaning(words: Sequence[str]) -> None:
    """Says on stderr how to write the time of the day that a duration such as 14:30 may have been meant as."""
    text = " ".join(words)
    if text.count(":") == 1 and is_time_of_day(text):
        click.echo(f"timer: for the time of the day, write {_MARK}{text}", err=True)


def now_ms() -> int:
    """What this machine's clock shows, as Unix milliseconds."""
    return time.time_ns() // 1_000_000
