"""The command `timer-server`: reads the settings, then serves until SIGTERM or SIGINT; or makes keys."""

import argparse
import re
import signal
import sys
from pathlib import Path

from timer_protocol import __version__
from timer_protocol.key_files import check_prefix
from timer_server.access.keys import SERVER_NAME, KeyFileError, make_client_keys, make_server_keys
from timer_server.health import check
from timer_server.logs import set_up
from timer_server.settings import VARIABLES, Config, ConfigError, load_environment, read_config

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_MISUSED = 2

_KEYGEN_HELP = (
    "TIMER_CURVE_SERVER_SECRET=FOLDER/server.key_secret turns encryption on. A client needs its own .key_secret file,"
    " and server.key; one that makes its pair itself with `timer keygen` hands over its .key file for FOLDER/clients."
)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the server can read its keys again, it must not end it
    parsed = _parser().parse_args(arguments)
    if parsed.command == "keygen":
        return _make_keys(parsed)
    try:
        config = read_config(load_environment(Path.cwd()))
    except ConfigError as error:
        return _complain(str(error), EXIT_MISUSED)
    if parsed.check:
        fault = check(config.bind, config.curve)
        return EXIT_OK if fault is None else _complain(fault, EXIT_FAILED)
    return _serve(config)


def _serve(config: Config) -> int:
    # Imported here, as the health check, which runs every few seconds, needs none of it.
    from timer_server.loop.clock import system_sources  # noqa: PLC0415
    from timer_server.loop.garbage import Collector  # noqa: PLC0415
    from timer_server.loop.signals import wishes_by_signals  # noqa: PLC0415
    from timer_server.serve import serve  # noqa: PLC0415
    from timer_server.store.base import StoreError  # noqa: PLC0415
    from timer_server.wire.endpoints import BindError  # noqa: PLC0415

    set_up(config.log_level, config.log_format)
    try:
        with wishes_by_signals() as wishes:
            serve(config, system_sources(), wishes, Collector)
    except KeyFileError as error:
        return _complain(f"{error} (TIMER_CURVE_SERVER_SECRET, TIMER_CURVE_CLIENTS)", EXIT_MISUSED)
    except (StoreError, BindError) as error:
        return _complain(str(error), EXIT_FAILED)
    return EXIT_OK


def _make_keys(parsed: argparse.Namespace) -> int:
    if parsed.client is None and (parsed.prefix or parsed.hand_over):
        return _complain("--prefix and --hand-over are about a client: name it with --client", EXIT_MISUSED)
    try:
        files = make_server_keys(parsed.folder)
        if parsed.client is not None:
            files += make_client_keys(parsed.folder, parsed.client, parsed.prefix, parsed.hand_over or parsed.folder)
    except KeyFileError as error:
        return _complain(str(error), EXIT_FAILED)
    for path, is_new in files:
        print(f"{'made' if is_new else 'kept'} {path}")  # noqa: T201 - what the command was asked for
    return EXIT_OK


def _parser() -> argparse.ArgumentParser:
    width = max(len(variable.name) for variable in VARIABLES)
    settings = "\n".join(
        f"  {variable.name:{width}}  {variable.default or '(unset)'}\n  {'':{width}}    {variable.allowed}"
        for variable in VARIABLES
    )
    parser = argparse.ArgumentParser(
        prog="timer-server",
        usage="timer-server [-h] [--check | --version | keygen ...]",
        description="Durable countdown timers over ZeroMQ. Everything is set by environment variables or a .env file.",
        epilog=f"variables, their defaults and what is allowed:\n{settings}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true", help="ask the server at TIMER_BIND for a sign of life")
    parser.add_argument("--version", action="version", version=f"timer-server {__version__}")
    _add_keygen(parser.add_subparsers(dest="command", metavar="keygen", title="commands"))
    return parser


def _add_keygen(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    about = "make the keys for encryption where they are missing; those that are there are kept"
    keygen = commands.add_parser("keygen", help=about, description=f"{about.capitalize()}.", epilog=_KEYGEN_HELP)
    keygen.add_argument("folder", type=Path, help="for the server's pair, and `clients` with the public keys let in")
    keygen.add_argument("--client", type=_name, metavar="NAME", help="make a client's pair too, and let it in")
    keygen.add_argument("--prefix", type=_prefix, default="", help="bind it to timers whose id begins with this")
    keygen.add_argument(
        "--hand-over",
        type=Path,
        metavar="FOLDER",
        help="where to put the client's files (default: beside the server's)",
    )


def _name(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text) and text != SERVER_NAME:
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is no name for a file: use A-Z a-z 0-9 . _ - (and not {SERVER_NAME!r})")


def _prefix(text: str) -> str:
    try:
        check_prefix(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None
    return text


def _complain(sentence: str, exit_code: int) -> int:
    print(f"timer-server: {sentence}", file=sys.stderr)  # noqa: T201 - the last word of a command
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
