"""Imports point one way: the contracts in pyproject.toml hold, and a violation would be found."""

import os
import re
import shutil
import subprocess
import sys
from itertools import chain
from pathlib import Path

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
GATEWAY = "The gateway knows the server by its protocol alone"
WEBHOOKS = "Webhooks know the server by its protocol alone"
PURITY = "What decides does no I/O and reads no clock"


VIOLATIONS = {
    DIRECTION: [
        ("timer_server/core/model.py", "from timer_server.store import base", "timer_server.store.base"),
        ("timer_server/core/engine.py", "from timer_server.loop import clock", "timer_server.loop.clock"),
        ("timer_server/store/memory.py", "from timer_server.requests import answers", "timer_server.requests.answers"),
        ("timer_server/wire/feed.py", "from timer_server.requests import answers", "timer_server.requests.answers"),
        ("timer_server/cluster/member.py", "from timer_server.loop import clock", "timer_server.loop.clock"),
        ("timer_server/logs.py", "import timer_server.__main__", "timer_server.__main__"),
    ],
    APART: [
        ("timer_protocol/frames.py", "from timer_server.core import engine", "timer_server.core.engine"),
        ("timer_server/logs.py", "import timer_client", "timer_client"),
        ("timer_client/__init__.py", "from timer_server.core import model", "timer_server.core.model"),
        ("timer_protocol/limits.py", "import timer_client", "timer_client"),
        ("timer_server/serve.py", "import timer_testing", "timer_testing"),
        ("timer_client/calls.py", "import timer_gateway", "timer_gateway"),
        ("timer_client/client.py", "import timer_webhooks", "timer_webhooks"),
        ("timer_gateway/app.py", "import timer_testing", "timer_testing"),
    ],
    GATEWAY: [("timer_gateway/rpc.py", "from timer_server.requests import openrpc", "timer_server.requests.openrpc")],
    WEBHOOKS: [("timer_webhooks/sender.py", "from timer_server.core import model", "timer_server.core.model")],
    PURITY: [
        ("timer_server/requests/answers.py", "import time", "time"),
        ("timer_server/cluster/member.py", "import time", "time"),
        ("timer_server/requests/methods.py", "def late():\n    import sqlite3", "sqlite3"),
        ("timer_server/core/engine.py", "from os import environ", "os"),
        ("timer_protocol/messages.py", "from timer_protocol import environment", "timer_protocol.environment"),
    ],
}
"""Modules, what is added to each, and what that imports, by the contract that it breaks."""


def test_violations_are_found(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "services", tmp_path / "services", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    for module, line, _ in chain(*VIOLATIONS.values()):
        with (tmp_path / "services" / module).open("a") as source:
            source.write(f"\n{line}\n")

    linted = lint(tmp_path)

    assert linted.returncode == 1, linted.stdout + linted.stderr
    _, *sections = re.split(r"^(.+)\n-+\n", linted.stdout.partition("Broken contracts")[2], flags=re.MULTILINE)
    told = dict(zip(sections[::2], sections[1::2], strict=True))
    for contract, violations in VIOLATIONS.items():
        for module, _, imported in violations:
            importer = module.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            assert re.search(rf"{re.escape(importer)} -> {re.escape(imported)}\s", told[contract]), told[contract]
