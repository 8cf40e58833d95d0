"""The command `timer`. Each subcommand is imported when it is run, so that help and completion are quick."""

import errno
import importlib
import io
import signal
import sys
from typing import Any, NoReturn

import click

from timer_client.cli import exit_codes
from timer_client.cli.interrupts import Interrupted, die_of, take_signals
from timer_client.cli.options import ENVIRONMENT_ONLY, connection_options, texts
from timer_client.cli.printable import printable
from timer_protocol import __version__
from timer_protocol.standard_streams import OutputFailed, make_usable

COMMANDS = {
    "start": ("start:start", "Start a timer and watch it to its end."),
    "watch": ("start:watch", "Watch timers to their ends."),
    "list": ("listing:list_timers", "List pending timers in the order of their ids."),
    "get": ("timers:get", "Show a timer."),
    "explain": ("explain:explain", "Show what happened to a timer, and what comes next."),
    "pause": ("changes:pause", "Stop countdowns until they are resumed."),
    "resume": ("changes:resume", "Let paused timers run on."),
    "cancel": ("changes:cancel", "End timers before their time."),
    "extend": ("timers:extend", "Add time to a timer, or take some away."),
    "restart": ("changes:restart", "Run the full time of timers again."),
    "every": ("planning:every", "Start a timer again and again, with the same time in between."),
    "cron": ("planning:cron", "Start a timer at each moment of a cron RULE."),
    "run": ("planning:run", "Run countdowns one after the other, and show them: work=25m rest=5m."),
    "plan": ("plans:plan", "See to plans: rules that start timers by themselves."),
    "events": ("follow:events", "Follow what happens to timers."),
    "export": ("transfer:export_timers", "Write queues, plans and pending timers as lines of JSON."),
    "import": ("transfer:import_timers", "Start the timers of an exported file, and put its plans and queues."),
    "work": ("work:work", "Run a command for each end that a queue hands out."),
    "queue": ("queues:queue", "Make, list, change and delete queues, and see to their dead letters."),
    "take": ("deliveries:take", "Take ends from a queue."),
    "ack": ("deliveries:ack", "Be done with ends that were taken."),
    "nack": ("deliveries:nack", "Give ends that were taken back, or up."),
    "info": ("follow:info", "Show the server's version, logs, counts and limits."),
    "keygen": ("keygen:keygen", "Make a key pair for an encrypted connection."),
    "completion": ("completion:completion", "Print the completion script of a shell."),
}
"""The module of each command in this package, and its line in the list of commands."""


class LazyGroup(click.Group):
    """A group that imports a command when it is run, and lists all without importing any."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """The commands, the likeliest first."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports a command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(f"timer_client.cli.{module}"), name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first argument names. Raises `click.UsageError` with a guess where there is none."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if error.ctx is not ctx or args[0].startswith("-"):
                raise  # of an option
            raise click.UsageError(f"There is no command {args[0]!r}.{_guess(args)}", ctx) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Runs a command. Raises `Interrupted` where a signal ends it."""
        try:
            return super().invoke(ctx)
        except click.Abort as left:  # at a question
            click.echo("\nNothing was started.", err=True)
            if isinstance(left.__context__, KeyboardInterrupt):
                raise Interrupted(left.__context__) from None
            ctx.exit(exit_codes.ExitCode.MISUSED)  # the answers ended: Ctrl-D
        except KeyboardInterrupt as interrupt:
            raise Interrupted(interrupt) from None

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def format_epilog(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list of environment variables that have no option."""
        with formatter.section("Environment variables without an option"):
            formatter.write_dl(
                [
                    (
                        variable.name,
                        f"{variable.meaning} ({variable.kind.allowed}; default {variable.default or 'unset'}).",
                    )
                    for variable in ENVIRONMENT_ONLY
                ]
            )
        with formatter.section("Exit codes"):
            formatter.write_dl(exit_codes.MEANINGS)
        with formatter.indentation():
            formatter.write_text("All variables may stand in a .env file in the working directory.")


def _guess(args: list[str]) -> str:
    """What may have been meant by arguments of which the first names no command, as a sentence; or nothing."""
    from difflib import get_close_matches  # noqa: PLC0415 - only who mistypes waits for it

    from timer_client.cli.amounts import is_duration  # noqa: PLC0415

    if is_duration(args[:1]) or args[0].startswith("@"):
        return f" Did you mean `timer start {args[0]}`?"
    near = get_close_matches(args[0], COMMANDS, n=1)
    return f" Did you mean {near[0]}?" if near else " `timer --help` lists those there are."


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="timer", message="%(prog)s %(version)s")
@connection_options
def root() -> None:
    """Countdown timers that run on a server: whoever starts one may leave, and anyone may watch it.

    \b
    timer start 25m --label tea    starts one and shows the countdown
    timer start                    asks for hours, minutes and seconds
    timer watch ID                 comes back to one
    """


def main() -> NoReturn:
    """Runs the command line and ends the process: with one of the `exit_codes`, or by the signal that ended it."""
    make_usable()
    take_signals()
    try:
        sys.exit(_exit_code())
    except Interrupted as interrupted:
        die_of(interrupted.number)


def _exit_code() -> int:
    """Runs a command, and turns whatever ends it into a sentence and an exit code. Raises `Interrupted`."""
    try:
        return root.main(texts(sys.argv[1:]), "timer", standalone_mode=False) or exit_codes.ExitCode.DONE
    except click.ClickException as error:
        _tell(error)
        return error.exit_code
    except KeyboardInterrupt as interrupt:
        raise Interrupted(interrupt) from None
    except click.Abort as left:  # what click makes of Ctrl-C while it reads arguments
        raise Interrupted(left.__cause__) from None
    except OutputFailed as failed:
        if failed.errno == errno.EPIPE:  # as in `timer list | head`: no fault, and no more to do
            die_of(signal.SIGPIPE)
        click.echo(f"timer: the output cannot be written: {failed}", err=True)
    except OSError as error:
        about = f": {error.filename}" if error.filename else ""
        click.echo(printable(f"timer: {error.strerror or error}{about}"), err=True)
    return exit_codes.ExitCode.SYSTEM


def _tell(error: click.ClickException) -> None:
    """Prints what is wrong. Where click words it, the user's arguments may stand in it as they are."""
    worded = io.StringIO()
    error.show(worded)  # `Failure` prints by itself
    for line in worded.getvalue().splitlines():
        click.echo(printable(line), err=True)
