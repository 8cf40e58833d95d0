"""Begins the command `timer-server`. Ctrl-C is dealt with before anything else is loaded, so it shows no traceback."""

import sys

from timer_protocol.signal_death import die_of_signals


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    die_of_signals()
    from timer_server.command import run  # noqa: PLC0415 - what it loads takes a while

    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
