"""Connects commands to the server, and turns its absence and its errors into sentences and exit codes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import click

from timer_client.cli.exit_codes import ExitCode
from timer_client.cli.options import given_settings
from timer_client.cli.printable import printable
from timer_client.cli.wrong_parameters import reworded
from timer_client.client import TimerClient
from timer_client.errors import (
    AccessDenied,
    ConfigError,
    InvalidArgument,
    LimitReached,
    LocalFailure,
    PlanNotFound,
    QueueNotFound,
    ServerError,
    ServerUnreachable,
    TimerError,
    TimerNotFound,
)
from timer_client.retry import Pause
from timer_client.settings import Settings, load_settings
from timer_protocol.errors import ErrorCode

_QUIET_S = 10.0
"""The least time between two notices: one outage may hold up many calls."""

_ADVICE: dict[type[TimerError], str] = {
    ServerUnreachable: "Does the server run, and is it where --server or TIMER_SERVER says?",
    AccessDenied: "The server's operator has a folder of allowed keys.",
    PlanNotFound: "The command `plan ls` shows those there are; `every`, `cron` and `run` make one.",
    TimerNotFound: "The command `list` shows those there are.",
    QueueNotFound: "The command `queue ls` lists those there are; `queue put` makes one.",
    LimitReached: "It is the server's limit; the command `info` shows them all.",
}


class Failure(click.ClickException):
    """Ends the command with a sentence on stderr. By itself it stands for an error from the server."""

    exit_code = ExitCode.REFUSED

    def show(self, _file: object = None) -> None:
        """Prints the sentence, parts of which others may have written."""
        click.echo(f"timer: {printable(self.message)}", err=True)


class Misuse(Failure):
    """An argument, a setting or a file is wrong."""

    exit_code = ExitCode.MISUSED


class Unreachable(Failure):
    """The server could not be reached in time."""

    exit_code = ExitCode.UNREACHABLE


class SystemRefused(Failure):
    """The system lacks what the command needs, such as file descriptors."""

    exit_code = ExitCode.SYSTEM


_FAILURES: dict[type[TimerError], type[Failure]] = {
    ServerUnreachable: Unreachable,
    ConfigError: Misuse,
    InvalidArgument: Misuse,
    LocalFailure: SystemRefused,
}


class PauseNotice:
    """Tells on stderr that the command waits for the server, once for each outage."""

    def __init__(self, settings: Settings) -> None:
        self._deadline_s = settings.retry_deadline_s
        self._told_at_s = -_QUIET_S
        self.pauses = 0
        """How many there were."""

    def __call__(self, pause: Pause) -> None:
        """Tells of a pause between two tries, if it begins an outage."""
        self.pauses += 1
        now_s = time.monotonic()
        if pause.tries == 1 and now_s - self._told_at_s >= _QUIET_S:
            self._told_at_s = now_s
            limit = f"for up to {self._deadline_s:g} s"
            notice = f"timer: waiting for {pause.endpoint}, {limit} (try 1: {pause.reason}) …"
            click.echo(printable(notice), err=True)


@cache
def _warn_once(sentence: str) -> None:
    click.echo(f"timer: {printable(sentence)}", err=True)


def settings_of(context: click.Context) -> Settings:
    """The settings of this run. Ends the command where one is wrong."""
    try:
        return load_settings(given_settings(context), warn=_warn_once)
    except ConfigError as error:
        raise Misuse(str(error)) from None


@contextmanager
def connected(context: click.Context, on_pause: PauseNotice | None = None) -> Iterator[TimerClient]:
    """A client for the length of a block. Its errors end the command with a sentence and an exit code."""
    settings = settings_of(context)
    with failures_told(), TimerClient(settings=settings, on_pause=on_pause or PauseNotice(settings)) as client:
        yield client


@contextmanager
def failures_told() -> Iterator[None]:
    """Ends the command with a `Failure` where the client raises an error."""
    try:
        yield
    except TimerError as error:
        if isinstance(error, ServerError) and error.code == ErrorCode.INVALID_PARAMS:
            raise Misuse(_told_of_parameters(error)) from None
        advice = next((text for kind, text in _ADVICE.items() if isinstance(error, kind)), None)
        message = str(error) if advice is None else f"{str(error).rstrip('.')}. {advice}"
        failure = next((failure for kind, failure in _FAILURES.items() if isinstance(error, kind)), Failure)
        raise failure(message) from None


def _told_of_parameters(error: ServerError) -> str:
    context = click.get_current_context(silent=True)
    return reworded(str(error), context.command.params if context else ())
