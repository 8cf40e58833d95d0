"""Runs the command `timer` as `python -m timer_client`."""

from timer_client.cli import main

if __name__ == "__main__":
    main()
