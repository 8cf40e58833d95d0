"""The command `timer-server`: reads the settings, then serves until SIGTERM or SIGINT."""

import argparse
import sys
from pathlib import Path

from timer_protocol import __version__
from timer_server.runtime.clock import system_sources
from timer_server.runtime.config import VARIABLES, Config, ConfigError, load_environment, read_config
from timer_server.runtime.health import check
from timer_server.runtime.logs import set_up
from timer_server.runtime.signals import stop_on_signals
from timer_server.runtime.sockets import BindError
from timer_server.store import StoreError

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_MISUSED = 2


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    parsed = _parser().parse_args(arguments)
    try:
        config = read_config(load_environment(Path.cwd()))
    except ConfigError as error:
        return _complain(str(error), EXIT_MISUSED)
    if parsed.check:
        fault = check(config.bind)
        return EXIT_OK if fault is None else _complain(fault, EXIT_FAILED)
    return _serve(config)


def _serve(config: Config) -> int:
    # Imported here, as the health check, which runs every few seconds, needs none of it.
    from timer_server.runtime.server import serve  # noqa: PLC0415

    set_up(config.log_level, config.log_format)
    try:
        with stop_on_signals() as stop:
            serve(config, system_sources(), stop)
    except (StoreError, BindError) as error:
        return _complain(str(error), EXIT_FAILED)
    return EXIT_OK


def _parser() -> argparse.ArgumentParser:
    width = max(len(variable.name) for variable in VARIABLES)
    settings = "\n".join(
        f"  {variable.name:{width}}  {variable.default or '(unset)'}\n  {'':{width}}    {variable.allowed}"
        for variable in VARIABLES
    )
    parser = argparse.ArgumentParser(
        prog="timer-server",
        description="Durable countdown timers over ZeroMQ. Everything is set by environment variables or a .env file.",
        epilog=f"variables, their defaults and what is allowed:\n{settings}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true", help="ask the server at TIMER_BIND for a sign of life")
    parser.add_argument("--version", action="version", version=f"timer-server {__version__}")
    return parser


def _complain(sentence: str, exit_code: int) -> int:
    print(f"timer-server: {sentence}", file=sys.stderr)  # noqa: T201 - the last word of a command
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
