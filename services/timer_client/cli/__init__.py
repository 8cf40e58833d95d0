"""The command `timer`. Each subcommand is imported when it is run, so that help and completion are quick."""

import importlib
import signal
from types import FrameType
from typing import Any

import click

from timer_client.cli.options import ENVIRONMENT_ONLY, connection_options
from timer_protocol import __version__

EXIT_INTERRUPTED = 130

EXIT_CODES = (
    ("0", "Done; of a countdown: the timer fired."),
    ("1", "The server refused: no such timer, a wrong state, a limit, a key that is not allowed."),
    ("2", "A wrong argument or setting."),
    ("3", "The timer was cancelled while it was watched."),
    ("4", "The server could not be reached in time."),
    ("130", "Ctrl-C."),
)

COMMANDS = {
    "start": ("start:start", "Start a timer and watch it to its end."),
    "watch": ("start:watch", "Watch a timer to its end."),
    "list": ("timers:list_timers", "List timers in the order of their ids."),
    "get": ("timers:get", "Show a timer."),
    "pause": ("timers:pause", "Stop a countdown until it is resumed."),
    "resume": ("timers:resume", "Let a paused timer run on."),
    "cancel": ("timers:cancel", "End a timer before its time."),
    "extend": ("timers:extend", "Add time to a timer, or take some away."),
    "restart": ("timers:restart", "Run a timer's full time again."),
    "events": ("follow:events", "Follow what happens to timers."),
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

    def invoke(self, ctx: click.Context) -> Any:
        """Runs a command; Ctrl-C ends it as a shell expects."""
        try:
            return super().invoke(ctx)
        except click.Abort:  # at a question
            click.echo("\nNothing was started.", err=True)
            ctx.exit(EXIT_INTERRUPTED)
        except KeyboardInterrupt:
            ctx.exit(EXIT_INTERRUPTED)

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
            formatter.write_dl(EXIT_CODES)
        with formatter.indentation():
            formatter.write_text("All variables may stand in a .env file in the working directory.")


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


def main() -> None:
    """Runs the command line. Exit codes: 0, 1 the server's error, 2 misuse, 3 cancelled, 4 unreachable, 130 Ctrl-C."""
    # `docker stop` is as good as Ctrl-C; the first process of a container would otherwise ignore it.
    signal.signal(signal.SIGTERM, _interrupt)
    root.main(prog_name="timer")


def _interrupt(_number: int, frame: FrameType | None) -> None:
    """Does on SIGTERM what Ctrl-C would do at this moment, also where a shell has had SIGINT ignored.

    While asyncio runs, its own handler ends the task: an exception that comes from nowhere may be lost in a callback.
    """
    on_interrupt = signal.getsignal(signal.SIGINT)
    if not callable(on_interrupt):
        raise KeyboardInterrupt
    on_interrupt(signal.SIGINT, frame)
