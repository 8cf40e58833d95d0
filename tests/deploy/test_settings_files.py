"""`.env.example` and docker-compose.yml name the settings that the programs read, with the values they assume."""

import re
import subprocess
import sys
from pathlib import Path

from dotenv import dotenv_values

from drivers.server_process import SERVICES
from timer_protocol.settings import CLIENT_VARIABLES, GATEWAY_VARIABLES, SERVER_VARIABLES

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / ".env.example"
VARIABLES = (*SERVER_VARIABLES, *CLIENT_VARIABLES, *GATEWAY_VARIABLES)
DEFAULTS = {variable.name: variable.default for variable in VARIABLES}


def test_the_example_is_what_the_table_gives() -> None:
    made = subprocess.run(
        [sys.executable, ROOT / "deploy" / "env_example.py"],
        env={"PYTHONPATH": str(SERVICES)},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert made.stdout == EXAMPLE.read_text(), "run `make example`"
    assert max(map(len, made.stdout.splitlines())) <= 120


def test_the_example_gives_every_variable_its_default() -> None:
    assert dotenv_values(EXAMPLE) == DEFAULTS


def test_compose_gives_the_gateway_its_name_in_the_network_beside_what_the_operator_lists() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    (hosts,) = re.findall(r"^      TIMER_GATEWAY_HOSTS: (\S+)$", text, re.MULTILINE)
    (bind,) = re.findall(r"^      TIMER_GATEWAY_BIND: \S+?:(\d+)$", text, re.MULTILINE)
    assert re.search(r"^  gateway:$", text, re.MULTILINE)
    assert hosts.endswith(f"}}}},gateway:{bind}")


def test_compose_hands_on_every_variable() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert set(re.findall(r"^      (TIMER_\w+):", text, re.MULTILINE)) == DEFAULTS.keys()
