"""`.env.example` and docker-compose.yml name the settings that the programs read, with the values they assume."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
from dotenv import dotenv_values

from timer_client.settings import VARIABLES as CLIENT_VARIABLES
from timer_server.settings import VARIABLES as SERVER_VARIABLES

ROOT = Path(__file__).parents[2]

SERVER = {variable.name: variable.default for variable in SERVER_VARIABLES}
CLIENT = {variable.name: variable.default for variable in CLIENT_VARIABLES}


def test_example_names_every_variable_and_no_other() -> None:
    assert dotenv_values(ROOT / ".env.example").keys() == SERVER.keys() | CLIENT.keys()


@pytest.mark.parametrize("name", [*SERVER, *CLIENT])
def test_example_gives_the_default(name: str) -> None:
    example = dotenv_values(ROOT / ".env.example")[name]
    default = {**SERVER, **CLIENT}[name]
    assert type(default)(example) == default


def test_each_variable_of_the_example_is_explained() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    for before, line in pairwise(lines):
        if line and not line.startswith("#"):
            assert before.startswith("# "), f"{line} stands without a line that explains it"


def test_compose_hands_on_every_variable() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert set(re.findall(r"^      (TIMER_\w+):", text, re.MULTILINE)) == SERVER.keys() | CLIENT.keys()
