"""The client's settings: where their values may come from, and that they are checked however they are made."""

from pathlib import Path
from typing import Any

import pytest

from client.command import run
from timer_client import ConfigError, Settings, load_settings


def _load(environ: dict[str, str], directory: Path, **options: str) -> Settings:
    return load_settings(options, environ, directory)


def test_without_any_variable_they_are_the_defaults(tmp_path: Path) -> None:
    assert _load({}, tmp_path) == Settings()


def test_the_working_directory_and_the_environment_are_used_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIMER_TIMEOUT_S", "7")
    (tmp_path / ".env").write_text("TIMER_RETRY_DEADLINE_S=8\n")
    assert load_settings() == Settings(timeout_s=7, retry_deadline_s=8)


@pytest.mark.parametrize(
    ("env_file", "named"),
    [
        (b"TIMER_TIMEOUT_S=soon\n", r"TIMER_TIMEOUT_S is 'soon', but must be .*; it is set in .*\.env, line 1$"),
        (b"\n\xff\xfe\n", r"\.env, line 2, cannot be read"),
        (b"A=1\nB 2\n", r"\.env, line 2, cannot be read"),
    ],
)
def test_nonsense_in_an_env_file_is_named(tmp_path: Path, env_file: bytes, named: str) -> None:
    (tmp_path / ".env").write_bytes(env_file)
    with pytest.raises(ConfigError, match=named):
        _load({}, tmp_path)


def test_a_variable_that_is_no_setting_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / ".env").write_text("TIMER_TIMEOUT=5\nTIMER_STORE=memory:\n")
    told: list[str] = []

    load_settings({}, {}, tmp_path, warn=told.append)
    for _ in range(2):
        _load({}, tmp_path)

    assert told == ["TIMER_TIMEOUT is no setting and has no effect; did you mean TIMER_TIMEOUT_S?"]
    assert caplog.messages == told


def test_the_command_warns_once_and_stops_at_a_line_that_it_cannot_read(tmp_path: Path) -> None:
    said = "timer: TIMER_TIMEOUT is no setting and has no effect; did you mean TIMER_TIMEOUT_S?"
    ran = run(tmp_path, "start", "5s", "--detach", TIMER_TIMEOUT="5", TIMER_RETRY_DEADLINE_S="0", TIMER_TIMEOUT_S="0.1")
    assert ran.returncode == 4
    assert ran.stderr.splitlines().count(said) == 1
    (tmp_path / ".env").write_text("TIMER_TIMEOUT_S=5\nTIMER_SERVER tcp://host:1\n")
    ran = run(tmp_path, "info")
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert f"{tmp_path}/.env, line 2, cannot be read" in ran.stderr


def test_options_win_and_are_named_as_such(tmp_path: Path) -> None:
    environ = {"TIMER_SERVER": "nonsense", "TIMER_EVENTS": "tcp://real:2"}
    given = Settings(server="tcp://option:1", events="tcp://real:2")
    assert _load(environ, tmp_path, server="tcp://option:1") == given
    with pytest.raises(ConfigError, match="--retry-deadline is 'x', but must be"):
        _load({}, tmp_path, retry_deadline_s="x")


def test_the_shortest_pause_may_not_be_the_longer_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"TIMER_RETRY_MIN_S is 6, but must be at most TIMER_RETRY_MAX_S, which is 5"):
        _load({"TIMER_RETRY_MIN_S": "6"}, tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"server": "nowhere"},
        {"server": " tcp://host:1"},
        {"timeout_s": 0},
        {"timeout_s": "5"},
        {"timeout_s": float("nan")},
        {"retry_min_s": 9},
    ],
)
def test_settings_made_by_hand_are_checked_too(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="must be"):
        Settings(**changes)
