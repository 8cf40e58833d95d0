"""Begins and ends the command `timer-gateway`: Ctrl-C is dealt with before anything else is loaded."""

from timer_protocol.signal_death import die_of_signals


def main() -> None:
    """Runs the command, and ends the process with its exit code."""
    die_of_signals()
    from timer_gateway import command  # noqa: PLC0415 - what it loads takes a while

    command.main()


if __name__ == "__main__":
    main()
