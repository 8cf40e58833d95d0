"""The commands of the Makefile that the README names first."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TIMER_", "MAKE"))}
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.mark.timeout(300)  # the first may have to make the environment
def test_make_run_counts_down() -> None:
    done = make("run", "TIME=0 0 1")
    assert done.returncode == 0, done.stderr
    assert "Server: 0 hours, 0 minutes, 1 second" in done.stdout
    assert "has fired" in done.stdout
    assert "\x1b" not in done.stdout


def test_what_is_listed_as_long_is_there() -> None:
    listed = (ROOT / "tests" / "longest_first.txt").read_text().split()
    assert [path for path in listed if not (ROOT / path).is_file()] == []


def test_make_help_lists_the_targets() -> None:
    shown = make("help").stdout
    often, seldom = (
        ("setup", "run", "web", "test", "lint"),
        ("thorough", "bench", "bench-peers", "campaigns", "lock", "help"),
    )
    for target in (*often, *seldom):
        assert f"make {target} " in shown


def test_documents_name_targets_that_there_are() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")):
        named = set(re.findall(r"(?:`|^\$ )make ([a-z-]+)", document.read_text(), re.MULTILINE))
        assert named <= targets, document.name
