"""`make audit`: what it says of known vulnerabilities, of none, and where it can ask nobody."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SAFE = {"name": "safe", "version": "1.0", "vulns": []}
UNSAFE = {"name": "unsafe", "version": "1.0", "vulns": [{"id": "GHSA-1", "fix_versions": ["1.1"]}]}
UNKNOWN = {"name": "unknown", "skip_reason": "not found"}


def audit(folder: Path, printed: str) -> subprocess.CompletedProcess[str]:
    """Runs the audit with a stand-in for pip-audit that prints something."""
    (folder / "pip_audit.py").write_text(f"print({printed!r})")
    return subprocess.run(
        [sys.executable, str(ROOT / "deploy" / "audit.py"), "requirements.txt"],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    ("packages", "exit_code", "said"),
    [
        ([SAFE, UNKNOWN], 0, "1 packages looked up, 0 with known vulnerabilities"),
        ([SAFE, UNSAFE], 1, "unsafe 1.0: GHSA-1, fixed in ['1.1']"),
        ([UNKNOWN, UNKNOWN], 0, "skipped, no database of vulnerabilities could be reached"),
    ],
)
def test_what_was_found(packages: list[dict[str, Any]], exit_code: int, said: str, tmp_path: Path) -> None:
    done = audit(tmp_path, json.dumps({"dependencies": packages}))
    assert (done.returncode, said in done.stdout) == (exit_code, True)


def test_nobody_to_ask(tmp_path: Path) -> None:
    done = audit(tmp_path, "Traceback: no connection")
    assert (done.returncode, "skipped" in done.stdout) == (0, True)
