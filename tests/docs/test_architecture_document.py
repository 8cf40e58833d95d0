"""The architecture page is held to the code."""

import re
from pathlib import Path

import pytest

from timer_server.core.transitions import state_diagram

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "ARCHITECTURE.md").read_text()
ROOMS = dict(re.findall(r"^\| `(timer_\w+/[\w/]*)` \| ([^|]+) \|", PAGE, re.MULTILINE))


def test_the_state_diagram_is_the_one_of_the_table() -> None:
    assert f"```mermaid\n{state_diagram()}\n```" in PAGE


def test_the_rooms_named_are_those_there_are() -> None:
    services = ROOT / "services"
    there_are = {f"{module.parent.relative_to(services)}/" for module in services.glob("timer_*/**/[a-z]*.py")}
    assert ROOMS.keys() == there_are


@pytest.mark.parametrize("room", ROOMS)
def test_the_modules_named_are_those_there_are(room: str) -> None:
    there_are = {module.stem for module in (ROOT / "services" / room).glob("*.py")} - {"__init__"}
    assert set(ROOMS[room].replace("`", "").split()) == there_are


def test_the_layers_named_are_those_of_the_contract() -> None:
    contract = (ROOT / "pyproject.toml").read_text().partition("Imports of the server point one way")[2]
    layers = re.findall(r'"([^"]+)",\n', contract.partition("layers = [")[2].partition("]")[0])
    assert f"```\n{chr(10).join(layers)}\ntimer_protocol\n```" in PAGE


def test_each_step_of_the_walks_names_one_room_that_is_there() -> None:
    walks = PAGE.partition("## Three walks")[2].partition("\n## ")[0]
    steps = re.findall(r"^\d+\. (.*?)(?=^\d+\. |^\*\*|\Z)", walks, re.MULTILINE | re.DOTALL)
    assert len(steps) >= 3 * 5
    services = ROOT / "services"
    for step in steps:
        (named,) = re.findall(r"`([a-z_]+/[a-z_]+)`", step)
        place = services / named if named.startswith("timer_client/") else services / "timer_server" / named
        assert place.is_dir() or place.with_suffix(".py").is_file(), step
