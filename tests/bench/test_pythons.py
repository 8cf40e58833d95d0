"""Interpreters are asked who they are before anything is measured."""

import platform
import sqlite3
import sys
from pathlib import Path

import pytest

from bench.pythons import asked_for

SELF = platform.python_version()
SQLITE = f"(SQLite {sqlite3.sqlite_version})"


def test_each_has_its_version_and_the_name_it_was_given() -> None:
    names = [python.name for python in asked_for(f"here={sys.executable} there={sys.executable}")]
    assert names == [f"{SELF}, here {SQLITE}", f"{SELF}, there {SQLITE}"]


def test_without_any_it_is_the_one_that_asks() -> None:
    (python,) = asked_for("")
    assert (python.name, python.interpreter) == (f"{SELF} {SQLITE}", sys.executable)


def test_one_that_cannot_run_the_server_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"PYTHONS: gone=.* runs no server: .*No such file"):
        asked_for(f"gone={tmp_path / 'python'}")
    bare = tmp_path / "bare"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S -I "$@"\n')
    bare.chmod(0o755)
    with pytest.raises(ValueError, match=r"runs no server: ModuleNotFoundError: No module named 'zmq'"):
        asked_for(f"bare={bare}")
