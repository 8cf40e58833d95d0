"""The README and the pages for users are held to the code: their examples run, their tables are complete."""

import os
import re
import shlex
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from click.testing import CliRunner

from client.command import COMMAND, environment
from client.screen import Screen
from drivers.program import Program
from drivers.server_process import SERVICES, ServerProcess
from timer_client import TimerClient
from timer_client.cli import COMMANDS, moments, root
from timer_client.cli.amounts import EXAMPLES, parse_duration
from timer_client.cli.exit_codes import MEANINGS, ExitCode
from timer_protocol.settings import CLIENT_VARIABLES, GATEWAY_VARIABLES, SERVER_VARIABLES
from timer_testing import TimerServer

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text()
COMMAND_PAGE, PYTHON, WORKERS, CONFIGURATION, GATEWAY = (
    (ROOT / "docs" / f"{page}.md").read_text() for page in ("command", "python", "workers", "configuration", "gateway")
)


def _python_examples(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page, re.DOTALL)


def _variables(server: ServerProcess) -> dict[str, str]:
    """The environment of an example."""
    where = {"TIMER_SERVER": server.commands, "TIMER_EVENTS": server.events}
    return {**os.environ, "PYTHONPATH": str(SERVICES), **where}


def test_the_python_examples_run(server_process: ServerProcess) -> None:
    examples = _python_examples(PYTHON)
    assert len(examples) == 3
    printed = [
        subprocess.run(
            [sys.executable, "-c", example],
            env=_variables(server_process),
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
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


def test_workers_release_what_the_shop_was_not_paid_for(server_process: ServerProcess, tmp_path: Path) -> None:
    shop, release = _python_examples(README)
    shown = re.search(r"\$ python worker.py & python shop.py\n((?:seat .*\n)+)", README)
    assert shown
    with closing(Program([sys.executable, "-c", release], _variables(server_process), tmp_path)) as worker:
        with TimerClient(server_process.commands, server_process.events) as client:
            while not client.queues():  # a busy machine may start the worker after the orders' ends
                pass
        subprocess.run([sys.executable, "-c", shop], env=_variables(server_process), timeout=20, check=True)
        for line in shown[1].splitlines():
            worker.expect(line)
    assert "4B" not in worker.output


def test_a_cron_rule_tells_what_is_shown() -> None:
    (words, shown), *_ = _console("cron")
    with TimerServer(datetime(2027, 3, 24, 12, tzinfo=UTC)) as server:
        ran = CliRunner(env={"TIMER_SERVER": server.server, "TIMER_EVENTS": server.events}).invoke(root, words)
    assert ran.stdout == shown


def test_steps_look_as_they_are_shown(tmp_path: Path) -> None:
    (words, shown), *_ = _console("run")
    screen = Screen(100)
    with TimerServer(datetime(2027, 3, 24, 9, tzinfo=UTC)) as server:
        variables = environment(TIMER_SERVER=server.server, TIMER_EVENTS=server.events, TZ="UTC")
        with closing(Program([*COMMAND, *words], variables, tmp_path, terminal=True)) as program:
            for step, minutes in (("work 1/4", 25), ("rest 1/4", 5)):
                program.expect(rf"{step} .*━.* 0:")
                server.advance(minutes=minutes)
            end = program.expect(r"work 2/4 .*━.* 0:2[45]:\d\d").end()
            screen.write(program.output[:end])
    assert _alike("\n".join(screen.rows)) == _alike(shown.rstrip("\n"))


def _console(command: str) -> list[tuple[list[str], str]]:
    """The words of each `timer` with this command in a console, and what it prints there."""
    consoles = "".join(re.findall(r"```console\n(.*?)```", COMMAND_PAGE, re.DOTALL))
    found = re.findall(rf"^\$ timer ({command} .*)\n((?:[^$].*\n)*)", consoles, re.MULTILINE)
    return [(shlex.split(words), printed) for words, printed in found]


def _alike(text: str) -> str:
    """Without what is another at each run: ids that were made, days, and how far a countdown is."""
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", text)
    return re.sub(r"at [-0-9]{10} ", "at ", re.sub(r"[━╸╺]+ 0:2[45]:\d\d", "BAR", text))


def test_two_workers_share_the_ends(server_process: ServerProcess, tmp_path: Path) -> None:
    """Which of them gets which end is up to chance."""
    (example,) = _python_examples(WORKERS)
    names = ("Ada", "Bob")
    emails = ["one", "two", "three", "four"]
    workers = [Program([sys.executable, "-c", example, name], _variables(server_process), tmp_path) for name in names]
    try:
        with TimerClient(server_process.commands, server_process.events) as client:
            while not client.queues():
                pass
            client.start_columns([f"email/{email}" for email in emails], 0.1, payloads=emails)
            while sum(worker.has_written(f" sends {email}\\n") for worker in workers for email in emails) < 4:
                pass
    finally:
        for worker in workers:
            worker.close()
    told = [line for worker in workers for line in worker.output.splitlines()]
    for lines in (told, re.findall(r"^\w+ sends \w+$", WORKERS, re.MULTILINE)):
        assert sorted(line.split()[2] for line in lines) == sorted(emails)
        assert {tuple(line.split()[:2]) for line in lines} <= {(name, "sends") for name in names}


def test_the_tables_of_variables_are_complete_and_true() -> None:
    for page, variables in ((CONFIGURATION, (*SERVER_VARIABLES, *CLIENT_VARIABLES)), (GATEWAY, GATEWAY_VARIABLES)):
        rows = dict(re.findall(r"^\| `(TIMER_\w+)` \| (?:`([^`]*)`|unset) \|", page, re.MULTILINE))
        assert rows == {variable.name: variable.default for variable in variables}


def test_every_command_is_in_the_table() -> None:
    named = set(re.findall(r"`timer (\w+)", COMMAND_PAGE))
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
    """The rows of the table of the page on the command that has this header."""
    _, _, rows = COMMAND_PAGE.partition(f"| {' | '.join(header)} |\n")
    lines = rows.partition("\n\n")[0].splitlines()[1:]
    return [tuple(line.removeprefix("| ").removesuffix(" |").split(" | ")) for line in lines]


def test_the_make_targets_that_documents_name_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    documents = README + (ROOT / "ARCHITECTURE.md").read_text()
    named = set(re.findall(r"make ([a-z]+)`|\$ make ([a-z]+)", documents))
    assert {first or second for first, second in named} <= targets
