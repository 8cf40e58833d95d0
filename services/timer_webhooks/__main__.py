"""Begins the command `timer-webhooks`. Ctrl-C is dealt with before anything else is loaded."""

from timer_protocol.signal_death import SIGINT, die_of, die_of_signals


def main() -> None:
    """Runs the command, and ends the process with its exit code."""
    die_of_signals()
    from timer_webhooks import command  # noqa: PLC0415 - what it loads takes a while

    try:
        command.main()
    except KeyboardInterrupt:  # in a moment in which the command has no ear for it
        die_of(SIGINT)


if __name__ == "__main__":
    main()
