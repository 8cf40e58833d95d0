"""Prints `.env.example`, which is made from the table of settings; `make example` writes it."""

import sys

from timer_protocol.settings import CLIENT_VARIABLES, SERVER_VARIABLES, Variable

_HEAD = """\
# Every setting with its default. Copy this file to .env and change what you need: the server and `timer` read .env in
# the directory they are started in, and `docker compose` hands these on to the containers (all but the addresses and
# the store, which docker-compose.yml sets). A real environment variable wins; an empty value counts as unset.
"""


def _section(title: str, variables: tuple[Variable, ...]) -> str:
    lines = [f"# {variable.meaning}.\n{variable.name}={variable.default}\n" for variable in variables]
    return "".join([f"\n# --- {title} {'-' * (111 - len(title))}\n", *lines])


if __name__ == "__main__":
    sys.stdout.write(_HEAD + _section("Server", SERVER_VARIABLES) + _section("Client", CLIENT_VARIABLES))
