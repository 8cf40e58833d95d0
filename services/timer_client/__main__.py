"""Begins and ends the command `timer`, by that name and as `python -m timer_client`.

Ctrl-C is dealt with before anything else is loaded, and when all is done, so that it never shows a traceback.
"""

from timer_protocol.signal_death import SIGINT, die_of, die_of_signals


def main() -> None:
    """Runs the command, and ends the process with its exit code."""
    die_of_signals()
    from timer_client import cli  # noqa: PLC0415 - what it loads takes a while

    try:
        cli.main()
    except KeyboardInterrupt:  # in a moment in which the command has no ear for it
        die_of(SIGINT)
    finally:
        die_of_signals()


if __name__ == "__main__":
    main()
