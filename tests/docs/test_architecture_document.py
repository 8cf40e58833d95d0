"""The architecture page is held to the code."""

from pathlib import Path

from timer_server.core.transitions import state_diagram

ROOT = Path(__file__).parent.parent.parent
ROOMS = tuple(f"timer_server/{room}" for room in ("", "access", "requests", "wire", "loop"))
PAGE = (ROOT / "ARCHITECTURE.md").read_text()
PARTS = PAGE.partition("## The parts")[2].split("```")[1].split()


def test_the_state_diagram_is_the_one_of_the_table() -> None:
    assert f"```mermaid\n{state_diagram()}\n```" in PAGE


def test_the_parts_named_are_those_there_are() -> None:
    for package in ("timer_protocol", "timer_server/core", "timer_server/store", *ROOMS):
        for module in (ROOT / "services" / package).glob("[a-z]*.py"):
            assert module.stem in PARTS, f"{package}/{module.name} is not on the page"
