"""The README is held to the code: its examples run, its tables are complete."""

import os
import re
import subprocess
import sys
from pathlib import Path

from drivers.server_process import SERVICES, ServerProcess
from timer_client.cli import COMMANDS, moments
from timer_client.cli.amounts import EXAMPLES, parse_duration
from timer_client.cli.exit_codes import MEANINGS, ExitCode
from timer_protocol.settings import CLIENT_VARIABLES, SERVER_VARIABLES

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text()


def test_the_python_examples_run(server_process: ServerProcess) -> None:
    examples = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(examples) == 3
    environment = {
        **os.environ,
        "PYTHONPATH": str(SERVICES),
        "TIMER_SERVER": server_process.commands,
        "TIMER_EVENTS": server_process.events,
    }
    printed = [
        subprocess.run(
            [sys.executable, "-c", example], env=environment, capture_output=True, text=True, timeout=20, check=True
        ).stdout
        for example in examples
    ]
    assert printed[0].splitlines() == [
        "fired {'action': 'pour'}",
        "started tea",
        "extended tea",
        "fired tea",
    ]
    assert printed[1] == "fired\n"
    assert printed[2].split() == ["running", "fired"]


def test_the_tables_of_variables_are_complete_and_true() -> None:
    rows = dict(re.findall(r"^\| `(TIMER_\w+)` \| (?:`([^`]*)`|unset) \|", README, re.MULTILINE))
    assert rows == {variable.name: variable.default for variable in (*SERVER_VARIABLES, *CLIENT_VARIABLES)}


def test_every_command_is_in_the_table() -> None:
    named = set(re.findall(r"`timer (\w+)", README))
    assert named == set(COMMANDS)


def test_the_forms_of_a_duration_are_the_ones_that_are_taken() -> None:
    rows = _table("duration", "is")
    assert rows == [(f"`{example}`", parse_duration(example.split()).spoken()) for example in EXAMPLES]


def test_the_forms_of_a_moment_are_those_in_the_help() -> None:
    assert _table("moment", "is") == [(f"`{example}`", meaning) for example, meaning in moments.EXAMPLES]


def test_the_exit_codes_are_those_of_the_command() -> None:
    assert _table("exit code", "means") == list(MEANINGS)
    assert [code for code, _ in MEANINGS] == [str(code.value) for code in ExitCode] + ["130", "141", "143"]


def _table(*header: str) -> list[tuple[str, ...]]:
    """The rows of the README's table with this header."""
    _, _, rows = README.partition(f"| {' | '.join(header)} |\n")
    lines = rows.partition("\n\n")[0].splitlines()[1:]
    return [tuple(line.removeprefix("| ").removesuffix(" |").split(" | ")) for line in lines]


def test_the_make_targets_that_documents_name_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    documents = README + (ROOT / "ARCHITECTURE.md").read_text()
    named = set(re.findall(r"make ([a-z]+)`|\$ make ([a-z]+)", documents))
    assert {first or second for first, second in named} <= targets
