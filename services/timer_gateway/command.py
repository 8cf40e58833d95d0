"""The command `timer-gateway`: serves, checks one that serves, and makes tokens."""

import logging
import signal
import sys
import time
from typing import NoReturn

import click

from timer_client.errors import ConfigError
from timer_client.settings import load_settings
from timer_gateway.logs import log
from timer_gateway.settings import GatewaySettings, read_settings
from timer_gateway.token_commands import token, tokens
from timer_protocol import __version__
from timer_protocol.environment import process_environment, read_environment, told_unknown
from timer_protocol.log_lines import fields
from timer_protocol.log_writer import LogWriter, set_up
from timer_protocol.settings import GATEWAY_VARIABLES, SettingError
from timer_protocol.signal_death import die_of
from timer_protocol.standard_streams import OutputFailed, make_usable

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_MISUSED = 2


class _Group(click.Group):
    """The command, whose help tells the settings."""

    def format_epilog(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the table of settings."""
        with formatter.section("Environment variables, besides those of the client and TIMER_LOG_LEVEL and _FORMAT"):
            formatter.write_dl(
                [
                    (
                        variable.name,
                        f"{variable.meaning} ({variable.kind.allowed}; default {variable.default or 'unset'}).",
                    )
                    for variable in GATEWAY_VARIABLES
                ]
            )
        with formatter.indentation():
            formatter.write_text("All variables may stand in a .env file in the working directory.")


@click.group(
    cls=_Group,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
@click.version_option(__version__, prog_name="timer-gateway", message="%(prog)s %(version)s")
@click.option("--check", "is_check", is_flag=True, help="Ask the gateway at TIMER_GATEWAY_BIND for a sign of life.")
@click.pass_context
def root(context: click.Context, is_check: bool) -> None:
    """Timers over HTTP: the protocol as JSON-RPC, paths for curl, events as a stream, and a page.

    Without a command it serves, in front of the timer server at TIMER_SERVER.
    """
    if context.invoked_subcommand is None:
        context.exit(_check() if is_check else _serve())


root.add_command(token)
root.add_command(tokens)


def main() -> NoReturn:
    """Runs the command line and ends the process with its exit code."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # must not end the gateway before it can read its tokens again
    make_usable()
    try:
        sys.exit(root.main(prog_name="timer-gateway", standalone_mode=False) or EXIT_OK)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        die_of(signal.SIGINT)
    except OutputFailed as failed:
        _complain(f"the output cannot be written: {failed}")
        sys.exit(EXIT_FAILED)


def _read() -> tuple[GatewaySettings, list[str]]:
    """The settings, and sentences about variables that are none. Raises `SettingError`."""
    variables = read_environment()
    try:
        client = load_settings(warn=lambda _sentence: None)
    except ConfigError as error:
        raise SettingError(str(error)) from None
    return read_settings(variables, client), told_unknown(variables)


def _check() -> int:
    from timer_gateway.probe import fault_at  # noqa: PLC0415 - the check runs every few seconds, and loads no more

    try:
        settings, _ = _read()
    except SettingError as error:
        return _misused(error)
    fault = fault_at(settings)
    if fault is None:
        return EXIT_OK
    _complain(fault)
    return EXIT_FAILED


def _serve() -> int:
    from timer_gateway.listening import BindError, listen  # noqa: PLC0415 - `token` and --check need none of it
    from timer_gateway.opening import open_access, page_link  # noqa: PLC0415
    from timer_gateway.priority import give_way  # noqa: PLC0415
    from timer_gateway.serve import serve  # noqa: PLC0415
    from timer_gateway.tokens import TokenFileError  # noqa: PLC0415
    from timer_protocol.service_manager import service_manager  # noqa: PLC0415

    try:
        settings, unknown = _read()
    except SettingError as error:
        return _misused(error)
    writer = set_up(log, settings.log_level, settings.log_format)
    _take_others(writer)
    for sentence in unknown:
        log.warning(sentence)
    try:
        sockets = listen(settings.host, settings.port)  # before a token is made that could not be told then
        access, first = open_access(settings, time.time)
        link = page_link(settings, sockets[0].getsockname()[1], first)
        if first is not None:
            writer.put(f"Open this link, which is told once: {link}")
        elif settings.log_format == "text":
            writer.put(f"Open {link}")
        give_way()
        with service_manager(process_environment(), _tell_untold) as manager:
            is_interrupted = serve(settings, access, sockets, manager)
    except (SettingError, ConfigError, TokenFileError) as error:
        writer.put(f"timer-gateway: {error}")
        return EXIT_MISUSED
    except BindError as error:
        writer.put(f"timer-gateway: {error}")
        return EXIT_FAILED
    except Exception:
        log.exception("the gateway failed")
        return EXIT_FAILED
    finally:
        writer.flush()
    if is_interrupted:
        die_of(signal.SIGINT)
    return EXIT_OK


def _tell_untold(reason: str) -> None:
    log.warning("the service manager cannot be told (NOTIFY_SOCKET)", extra=fields(reason=reason))


def _take_others(writer: LogWriter) -> None:
    """Has what libraries log written in the same form."""
    everything = logging.getLogger()
    everything.handlers[:] = [writer]
    everything.setLevel(logging.WARNING)


def _misused(error: Exception) -> int:
    _complain(str(error))
    return EXIT_MISUSED


def _complain(sentence: str) -> None:
    click.echo(f"timer-gateway: {sentence}", err=True)
