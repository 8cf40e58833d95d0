"""The command after `--`, which runs at the end of a timer: its arguments, and the run itself."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import click
import msgspec

from timer_client.cli.connection import Failure
from timer_client.cli.duration_argument import DurationCommand, options_with_value
from timer_client.cli.exit_codes import ExitCode
from timer_client.cli.interrupts import Interrupted, Terminated
from timer_client.cli.printable import printable
from timer_protocol.environment import OF_AN_END, process_environment
from timer_protocol.messages import Timer


class NotFound(Failure):
    """There is no such command. The exit code is what a shell gives for that, as is that of `NotExecutable`."""

    exit_code = ExitCode.NOT_FOUND


class NotExecutable(Failure):
    """The command is there but cannot be run."""

    exit_code = ExitCode.NOT_EXECUTABLE


class ThenCommand(click.Command):
    """A command that takes another one after `--`, as `command` in its parameters."""

    when = ""
    """When that runs, for who leaves it out."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Reads the arguments before `--`, and keeps those after it as they are."""
        own, command = self._parted(ctx, args)
        if command == []:
            raise click.UsageError(f"after -- comes the command to run {self.when}; it is missing", ctx)
        rest = super().parse_args(ctx, own)
        ctx.params["command"] = command or []
        return rest

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """The parts of the line that shows the usage."""
        return [*super().collect_usage_pieces(ctx), "[-- COMMAND...]"]

    def _parted(self, ctx: click.Context, args: list[str]) -> tuple[list[str], list[str] | None]:
        """The arguments before the first `--` that is not the value of an option, and those after it."""
        with_value = options_with_value(self, ctx)
        is_value = False
        for place, arg in enumerate(args):
            if arg == "--" and not is_value:
                return args[:place], args[place + 1 :]
            is_value = not is_value and arg in with_value
        return args, None


class DurationThenCommand(ThenCommand, DurationCommand):
    """A command that takes a duration, and after `--` a command for the end of it."""

    when = "when the timer has fired"


def check(command: Sequence[str]) -> None:
    """Raises `NotFound` or `NotExecutable` where that is plain before the timer starts."""
    name = command[0]
    if shutil.which(name) is not None:
        return
    is_there = shutil.which(name, os.F_OK) is not None or (os.sep in name and Path(name).exists())
    if is_there:
        raise NotExecutable(f"the command {name} is not executable; nothing was started")
    raise NotFound(f"the command {name} cannot be found; nothing was started")


def run(command: Sequence[str], timer: Timer) -> int:
    """Runs the command for a timer that has fired, and returns its exit code, of which a line tells if it is not 0.

    It gets the payload as JSON on its standard input, and the timer in its environment. Raises `NotFound`,
    `NotExecutable`, and `Interrupted` where Ctrl-C or SIGTERM has ended the command.
    """
    child = Child()
    with _signals_left_to(child):
        child.start(command, told(timer))
        code = child.end(given(timer))
    if code:
        click.echo(printable(f"timer: the command {command[0]} {how_it_ended(code)}"), err=True)
    if code in (-signal.SIGINT, -signal.SIGTERM):
        raise Interrupted(Terminated() if code == -signal.SIGTERM else KeyboardInterrupt())
    return code if code >= 0 else 128 - code


class Child:
    """The process of the command.

    In a process group of its own it does not get the signals that a terminal sends to the group of this process, and
    what it has started is asked to end with it.
    """

    def __init__(self, *, in_own_group: bool = False) -> None:
        self._in_own_group = in_own_group
        self._process: subprocess.Popen[bytes] | None = None
        self._is_asked_to_end = False

    def start(self, command: Sequence[str], variables: Mapping[str, bytes]) -> None:
        """Starts it with more variables than this process has. Raises `NotFound`, `NotExecutable`."""
        environment: dict[str, Any] = {**process_environment(), **variables}
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the user's
                command,
                stdin=subprocess.PIPE,
                env=environment,
                process_group=0 if self._in_own_group else None,
            )
        except FileNotFoundError:
            raise NotFound(f"the command {command[0]} or its interpreter cannot be found") from None
        except OSError as error:
            raise NotExecutable(f"the command {command[0]} cannot be run: {error.strerror}") from None
        if self._is_asked_to_end:
            self._send_sigterm(self._process)

    def end(self, given: bytes) -> int:
        """Gives it its input, and waits for its exit code."""
        assert self._process is not None
        self._process.communicate(given)  # that it does not read all of it is no fault
        return self._process.returncode

    def ask_to_end(self, _number: int = signal.SIGTERM, _frame: FrameType | None = None) -> None:
        """Passes SIGTERM on, at once or as soon as there is a process."""
        self._is_asked_to_end = True
        if self._process is not None:
            self._send_sigterm(self._process)

    def _send_sigterm(self, process: "subprocess.Popen[bytes]") -> None:
        if not self._in_own_group:
            process.terminate()
        elif process.poll() is None:  # the id of a process that has been waited for may be another's
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)


@contextmanager
def _signals_left_to(child: Child) -> Iterator[None]:
    """Lets the command decide what a signal does. Ctrl-C reaches it by itself, since a terminal sends it to both."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGTERM, child.ask_to_end)
    if before[signal.SIGINT] is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda *_: None)  # SIG_IGN would be handed down to the command
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def given(timer: Timer) -> bytes:
    """What the command is given on its standard input: the payload as JSON."""
    return msgspec.json.encode(timer.payload) + b"\n"


def told(timer: Timer) -> dict[str, bytes]:
    """What the command is told in its environment, in UTF-8 whatever the locale."""
    due_at_ms = timer.due_at_ms or 0
    values = (timer.id, timer.label, timer.state, due_at_ms, (timer.ended_at_ms or due_at_ms) - due_at_ms)
    return {name: str(value).encode() for name, value in zip(OF_AN_END, values, strict=True)}


def how_it_ended(code: int) -> str:
    """The exit code of a process in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was ended by {signal.Signals(-code).name if -code in set(signal.Signals) else f'signal {-code}'}"
