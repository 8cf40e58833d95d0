"""Imports point one way: the contracts in pyproject.toml hold, and a violation would be found."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
LINT_IMPORTS = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    """Runs import-linter on the packages in `root/services`, whatever else is installed."""
    environment = {"PATH": os.defpath, "PYTHONPATH": str(root / "services"), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-c", LINT_IMPORTS, "--no-cache"],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_contracts_are_kept() -> None:
    linted = lint(REPOSITORY)

    assert linted.returncode == 0, linted.stdout + linted.stderr
    assert "0 broken" in linted.stdout


DIRECTION = "Imports of the server point one way"
APART = "The protocol knows neither server nor client"
PURITY = "What decides does no I/O and reads no clock"


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("timer_protocol/frames.py", "from timer_server.core import engine", APART),
        ("timer_server/core/model.py", "from timer_server.store import base", DIRECTION),
        ("timer_server/core/engine.py", "from timer_server.loop import clock", DIRECTION),
        ("timer_server/store/memory.py", "from timer_server.requests import answers", DIRECTION),
        ("timer_server/wire/feed.py", "from timer_server.requests import answers", DIRECTION),
        ("timer_server/requests/answers.py", "import time", PURITY),
        ("timer_server/requests/methods.py", "def late():\n    import sqlite3", PURITY),
        ("timer_server/core/engine.py", "from os import environ", PURITY),
        ("timer_protocol/messages.py", "from timer_protocol import environment", PURITY),
        ("timer_server/logs.py", "import timer_server.__main__", DIRECTION),
        ("timer_server/logs.py", "import timer_client", APART),
        ("timer_client/__init__.py", "from timer_server.core import model", APART),
        ("timer_protocol/limits.py", "import timer_client", APART),
        ("timer_server/serve.py", "import timer_testing", APART),
    ],
)
def test_violation_is_found(tmp_path: Path, module: str, line: str, contract: str) -> None:
    shutil.copytree(REPOSITORY / "services", tmp_path / "services", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    with (tmp_path / "services" / module).open("a") as source:
        source.write(f"\n{line}\n")

    linted = lint(tmp_path)

    assert linted.returncode == 1, linted.stdout + linted.stderr
    assert f"{contract} BROKEN" in linted.stdout
