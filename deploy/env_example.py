"""Prints `.env.example`, which is made from the table of settings; `make example` writes it."""

import sys

from timer_protocol.settings import CLIENT_VARIABLES, GATEWAY_VARIABLES, SERVER_VARIABLES, Variable

_HEAD = """\
# Every setting with its default. Copy this file to .env and change what you need: the programs read .env in
# the directory they are started in, and `docker compose` hands these on to the containers (all but the addresses and
# the store, which docker-compose.yml sets). A real environment variable wins; an empty value counts as unset.
"""


def _section(title: str, variables: tuple[Variable, ...]) -> str:
    lines = [f"# {variable.meaning}.\n{variable.name}={variable.default}\n" for variable in variables]
    return "".join([f"\n# --- {title} {'-' * (111 - len(title))}\n", *lines])


if __name__ == "__main__":
    sections = {"Server": SERVER_VARIABLES, "Client": CLIENT_VARIABLES, "Gateway": GATEWAY_VARIABLES}
    sys.stdout.write(_HEAD + "".join(_section(title, variables) for title, variables in sections.items()))
