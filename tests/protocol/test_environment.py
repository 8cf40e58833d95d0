"""Where settings come from: the environment, and below it a `.env` file."""

import os
from pathlib import Path

import pytest

from timer_protocol.environment import read_environment
from timer_protocol.settings import SettingError


def test_real_variables_win_over_the_file_unless_they_are_empty(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text('# for a trial\nA=file\nB="file"\nC=file\nD=\nE\nF=" "\n')

    assert read_environment(tmp_path, {"A": "real", "B": "", "C": " ", "G": "real", "H": ""}) == {
        "A": "real",
        "B": "file",
        "C": "file",
        "G": "real",
    }


def test_the_real_environment_is_the_default_and_is_not_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIMER_MAX_BATCH", "7")
    monkeypatch.delenv("TIMER_MAX_TIMERS", raising=False)
    (tmp_path / ".env").write_text("TIMER_MAX_BATCH=5\nTIMER_MAX_TIMERS=6\n")

    texts = read_environment(tmp_path)

    assert (texts["TIMER_MAX_BATCH"], texts["TIMER_MAX_TIMERS"]) == ("7", "6")
    assert "TIMER_MAX_TIMERS" not in os.environ


def test_the_file_need_not_be_there(tmp_path: Path) -> None:
    assert read_environment(tmp_path, {}) == {}


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"TIMER_BIND=\xff\xfe\n")

    with pytest.raises(SettingError, match=r"\.env cannot be read"):
        read_environment(tmp_path, {})
