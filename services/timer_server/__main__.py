"""Begins the command `timer-server`: Ctrl-C and too few descriptors are dealt with before anything else is loaded."""

import sys

from timer_protocol.signal_death import die_of_signals

_EXIT_FAILED = 1


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    die_of_signals()
    from timer_protocol.standard_streams import make_usable  # noqa: PLC0415
    from timer_server import descriptors, standard_streams  # noqa: PLC0415

    descriptors.raise_limit()
    if (shortage := descriptors.shortage()) is not None:
        make_usable()
        standard_streams.complain(f"timer-server: {shortage}")
        return _EXIT_FAILED
    from timer_server.command import run  # noqa: PLC0415 - what it loads takes a while

    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
