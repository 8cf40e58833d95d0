"""The argument that is a duration, for the commands that take one."""

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from timer_client.cli.amounts import EXAMPLES, Amounts, parse_duration, taken_for

F = TypeVar("F", bound=Callable[..., Any])

_NEGATIVE = re.compile(r"-(?:[0-9.]|PT?[0-9.])", re.IGNORECASE)


class DurationCommand(click.Command):
    """A command that takes a duration. A negative one, such as `-1h`, is no option wherever it stands."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Reads the arguments, with the options put before the others."""
        return super().parse_args(ctx, _options_first(args, options_with_value(self, ctx)))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the forms of a duration."""
        with formatter.section("Durations"):
            formatter.write_dl([(example, parse_duration([example]).spoken()) for example in EXAMPLES])
        super().format_epilog(ctx, formatter)


def options_with_value(command: click.Command, ctx: click.Context) -> set[str]:
    """The options of a command that the next argument belongs to."""
    options = [option for option in command.get_params(ctx) if isinstance(option, click.Option)]
    return {name for option in options if not option.is_flag for name in option.opts}


def duration_argument(metavar: str, *, required: bool) -> Callable[[F], F]:
    """Adds the argument `duration`: its words, for `read_duration`."""
    return click.argument("duration", metavar=metavar, nargs=-1, required=required, type=click.UNPROCESSED)


def read_duration(words: Sequence[str]) -> Amounts:
    """The duration in the words. Tells on stderr what it is taken for where it may be read in two ways.

    Raises `click.UsageError`.
    """
    try:
        amounts = parse_duration(words)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if (taken := taken_for(words)) is not None:
        click.echo(f"timer: {taken}", err=True)
    return amounts


def _options_first(args: Sequence[str], with_value: set[str]) -> list[str]:
    """The same arguments, with `--` between the options and the others."""
    options: list[str] = []
    others: list[str] = []
    rest = iter(args)
    for arg in rest:
        if arg == "--":
            others += rest
        elif not arg.startswith("-") or arg == "-" or _NEGATIVE.match(arg):
            others.append(arg)
        elif arg not in with_value:
            options.append(arg)
        elif (value := next(rest, None)) is not None:
            options += [arg, value]
        else:
            return [*options, arg]  # which lacks its value
    return [*options, "--", *others]
