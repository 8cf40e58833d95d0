"""`python -m timer_client` is the command `timer`."""

from timer_client.cli import main

if __name__ == "__main__":
    main()
