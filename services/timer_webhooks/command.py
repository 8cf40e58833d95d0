"""The command `timer-webhooks`: sends, shows the last attempts, sends again, enables endpoints, makes secrets."""

import asyncio
import logging
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NoReturn

import click

from timer_client.cli.printable import printable
from timer_client.cli.queue_text import show_rows
from timer_client.cli.text import moment
from timer_client.errors import ConfigError as SettingsFault
from timer_client.errors import TimerError
from timer_client.settings import Settings, load_settings
from timer_protocol import __version__
from timer_protocol.environment import process_environment, read_environment
from timer_protocol.log_writer import LogWriter, set_up
from timer_protocol.service_manager import service_manager
from timer_protocol.settings import SERVER_VARIABLES, SettingError
from timer_protocol.signal_death import die_of
from timer_protocol.standard_streams import OutputFailed, make_usable
from timer_webhooks.config import Config, ConfigError, Endpoint, read_config
from timer_webhooks.counts import Counts
from timer_webhooks.database import Database, DatabaseError
from timer_webhooks.logs import fields, log
from timer_webhooks.resend import NothingToSend, resend
from timer_webhooks.serve import serve
from timer_webhooks.signing import new_secret
from timer_webhooks.standing import Standing

EXIT_FAILED = 1
EXIT_MISUSED = 2
FILE = "webhooks.toml"


class Failure(click.ClickException):
    """Ends the command with a sentence on stderr."""

    exit_code = EXIT_FAILED

    def show(self, _file: object = None) -> None:
        """Prints the sentence, parts of which others may have written."""
        click.echo(f"timer-webhooks: {printable(self.message)}", err=True)


class Misuse(Failure):
    """A setting, a file or an argument is wrong."""

    exit_code = EXIT_MISUSED


@click.group(
    invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    default=FILE,
    metavar="FILE",
    help=f"The endpoints (default {FILE}).",
)
@click.version_option(__version__, prog_name="timer-webhooks", message="%(prog)s %(version)s")
@click.pass_context
def root(context: click.Context, path: Path) -> None:
    """Send the ends of timers to HTTP endpoints, signed as Standard Webhooks 1.0 says.

    Without a command it sends until SIGTERM or Ctrl-C. Where the server is say TIMER_SERVER and the other variables of
    `timer`; TIMER_LOG_LEVEL and TIMER_LOG_FORMAT are the server's. docs/webhooks.md has the file's form.
    """
    context.obj = path
    if context.invoked_subcommand is None:
        _send(path)


@root.command("log")
@click.option("--endpoint", metavar="NAME", help="Only this endpoint.")
@click.option("--failed", "only_failed", is_flag=True, help="Only attempts that failed.")
@click.option("-n", "--limit", type=click.IntRange(1), default=50, metavar="N", help="How many (default 50).")
@click.pass_obj
def show_log(path: Path, *, endpoint: str | None, only_failed: bool, limit: int) -> None:
    """Show the last attempts, oldest first, and which endpoints fail or are disabled."""
    config = _config(path)
    chosen = config.endpoints if endpoint is None else _named(config, [endpoint])
    with _database(config) as database:
        tries = database.tries(limit, endpoint, only_failed=only_failed)
        standings = {one.name: database.standing(one.name) for one in chosen}
    show_rows(
        ("at", "endpoint", "outcome", "attempt", "took", "timer", "webhook-id", "reason"),
        (
            (
                moment(one.at_ms),
                one.endpoint,
                one.outcome,
                str(one.attempt or "resent"),
                f"{one.took_ms} ms",
                one.timer_id,
                one.webhook_id,
                one.reason,
            )
            for one in tries
        ),
    )
    for name, standing in standings.items():
        if (told := _told(name, standing)) is not None:
            click.echo(printable(told), err=True)


@root.command("resend")
@click.argument("timer_ids", metavar="TIMER...", nargs=-1, required=True)
@click.option("--endpoint", metavar="NAME", help="Only to this endpoint; otherwise to all that the timer is for.")
@click.pass_obj
def resend_ends(path: Path, *, timer_ids: Sequence[str], endpoint: str | None) -> None:
    """Send the ends of timers again, at once, with the same webhook-id as before.

    It takes an end as long as the server remembers it, whatever became of it. Exit code 1 where an attempt failed.
    """
    settings, config = _settings(), _config(path)
    chosen = config.endpoints if endpoint is None else _named(config, [endpoint])
    is_failed = False
    try:
        with _database(config) as database:
            for attempt in asyncio.run(resend(timer_ids, chosen, settings, database)):
                is_failed |= attempt.outcome != "delivered"
                told = f"{attempt.timer_id} to {attempt.endpoint}: {attempt.outcome}, {attempt.reason}"
                click.echo(printable(f"{told} ({attempt.webhook_id})"))
    except (TimerError, NothingToSend) as error:
        raise Failure(str(error)) from None
    except ConfigError as error:
        raise Misuse(str(error)) from None
    if is_failed:
        sys.exit(EXIT_FAILED)


@root.command("enable")
@click.argument("names", metavar="ENDPOINT...", nargs=-1, required=True)
@click.pass_obj
def enable(path: Path, *, names: Sequence[str]) -> None:
    """Send to endpoints again that were disabled. Their ends have waited in their queues.

    A process that runs notices within seconds.
    """
    config = _config(path)
    chosen = _named(config, names)
    with _database(config) as database:
        for endpoint in chosen:
            was_disabled = database.standing(endpoint.name).is_disabled
            database.note_standing(endpoint.name, Standing())
            click.echo(f"{endpoint.name}: {'enabled' if was_disabled else 'was not disabled'}")


@root.command("secret")
def secret() -> None:
    """Print a new secret for an endpoint. Put it first among its `secrets`, and hand it to the receiver."""
    click.echo(new_secret())


def main() -> NoReturn:
    """Runs the command line and ends the process."""
    make_usable()
    try:
        sys.exit(root.main(standalone_mode=False, prog_name="timer-webhooks") or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        die_of(signal.SIGINT)
    except OutputFailed as failed:
        click.echo(f"timer-webhooks: the output cannot be written: {failed}", err=True)
        sys.exit(EXIT_FAILED)


def _send(path: Path) -> None:
    """Sends until a signal, and ends the process by Ctrl-C if it was that."""
    settings, config = _settings(), _config(path)
    writer = _set_up_log()
    if path.stat().st_mode & 0o077:
        log.warning("%s holds secrets, and others may read it: `chmod 600` keeps them out", path)
    counts = {endpoint.name: Counts() for endpoint in config.endpoints}
    with _database(config) as database, database.sole_sender():
        _export(config, counts)
        try:
            with service_manager(process_environment(), _tell_untold) as manager:
                ended_by = asyncio.run(serve(config, settings, database, counts, manager))
        except ConfigError as error:
            raise Misuse(str(error)) from None
    writer.flush()
    if ended_by == signal.SIGINT:
        die_of(ended_by)


def _tell_untold(reason: str) -> None:
    log.warning("the service manager cannot be told (NOTIFY_SOCKET)", extra=fields(reason=reason))


def _export(config: Config, counts: Mapping[str, Counts]) -> None:
    if config.metrics is None:
        return
    from timer_webhooks.exporter import export  # noqa: PLC0415 - loaded only where it is asked for

    host, port = config.metrics
    try:
        export(counts, host, port)
    except OSError as error:
        raise Failure(f"metrics cannot be served at {host}:{port}: {error.strerror or error}") from None


def _settings() -> Settings:
    try:
        return load_settings(warn=lambda sentence: click.echo(f"timer-webhooks: {printable(sentence)}", err=True))
    except SettingsFault as error:
        raise Misuse(str(error)) from None


def _config(path: Path) -> Config:
    try:
        return read_config(path)
    except ConfigError as error:
        raise Misuse(str(error)) from None


@contextmanager
def _database(config: Config) -> Iterator[Database]:
    """The database for the length of a block. Its errors end the command."""
    try:
        with closing(Database(config.database)) as database:
            yield database
    except DatabaseError as error:
        raise Failure(str(error)) from None


def _named(config: Config, names: Sequence[str]) -> tuple[Endpoint, ...]:
    """The endpoints of these names."""
    there = {endpoint.name: endpoint for endpoint in config.endpoints}
    for name in names:
        if name not in there:
            raise Misuse(f"there is no endpoint {name!r}; there are {', '.join(there)}")
    return tuple(there[name] for name in names)


def _told(name: str, standing: Standing) -> str | None:
    """How an endpoint stands, where it is not as it should be."""
    if standing.disabled_at_ms is not None:
        since = f"disabled since {moment(standing.disabled_at_ms)}, as {standing.disabled_reason}"
        return f"timer-webhooks: {name} is {since}; `timer-webhooks enable {name}` sends to it again"
    if standing.failing_since_ms is not None:
        return f"timer-webhooks: {name} has failed since {moment(standing.failing_since_ms)}"
    return None


def _set_up_log() -> LogWriter:
    """Sends the log to standard error, that of the client library too as far as it warns."""
    variables = {variable.name: variable for variable in SERVER_VARIABLES}
    try:
        texts = read_environment()
        level, form = (variables[name].read(texts) for name in ("TIMER_LOG_LEVEL", "TIMER_LOG_FORMAT"))
    except SettingError as error:
        raise Misuse(str(error)) from None
    writer = set_up(log, level, form or ("text" if sys.stderr.isatty() else "json"))
    library = logging.getLogger("timer_client")
    library.handlers[:], library.propagate = [writer], False
    library.setLevel(logging.WARNING)
    return writer
