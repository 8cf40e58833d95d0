"""Each variable: unset, set, empty, nonsense; and where its value may come from."""

from pathlib import Path
from typing import Any

import pytest

from timer_client import ConfigError, Settings, load_settings
from timer_client.settings import VARIABLES

CASES: dict[str, tuple[Any, dict[str, Any], list[str]]] = {
    "TIMER_SERVER": (
        "tcp://127.0.0.1:8888",
        {
            "tcp://timer-server:9000": "tcp://timer-server:9000",
            " tcp://[::1]:1 ": "tcp://[::1]:1",
            "ipc:///run/timer.sock": "ipc:///run/timer.sock",
            "inproc://timers": "inproc://timers",
        },
        ["localhost:8888", "tcp://*:8888", "tcp://host", "tcp://host:0", "tcp://host:65536", "tcp://:1", "ipc://", "x"],
    ),
    "TIMER_EVENTS": (
        "tcp://127.0.0.1:8889",
        {"tcp://timer-server:9001": "tcp://timer-server:9001"},
        ["8889", "http://host:8889", "tcp://ho st:1"],
    ),
    "TIMER_TIMEOUT_S": (
        5.0,
        {"2": 2.0, "0.25": 0.25, "86400": 86400.0},
        ["0", "-1", "abc", "nan", "inf", "86401", "5s"],
    ),
    "TIMER_RETRY_DEADLINE_S": (60.0, {"0": 0.0, "1.5": 1.5}, ["-0.1", "never", "inf"]),
    "TIMER_RETRY_MIN_S": (0.1, {"0.01": 0.01, "5": 5.0}, ["0", "-1", "quick"]),
    "TIMER_RETRY_MAX_S": (5.0, {"0.1": 0.1, "30": 30.0}, ["0", "soon"]),
    "TIMER_ID_PREFIX": ("", {"shop/": "shop/"}, ["a b", "x" * 93]),
    "TIMER_CURVE_CLIENT_SECRET": ("", {"keys/shop.key_secret": "keys/shop.key_secret"}, ["a\0b"]),
    "TIMER_CURVE_SERVER_PUBLIC": ("", {"/etc/timer/server.key": "/etc/timer/server.key"}, ["a\0b"]),
    "TIMER_COMMAND": ("timer", {"docker compose run client": "docker compose run client"}, ["a\nb", "\x1b[2J"]),
}
FIELDS = {variable.name: variable.field for variable in VARIABLES}
VALUES = [(name, text, value) for name, (_, values, _) in CASES.items() for text, value in values.items()]
NONSENSE = [(name, text) for name, (_, _, texts) in CASES.items() for text in texts]


def _load(environ: dict[str, str], directory: Path, **options: str) -> Settings:
    return load_settings(options, environ, directory)


def test_every_variable_is_tested() -> None:
    assert set(CASES) == set(FIELDS)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("text", [None, "", " "], ids=["unset", "empty", "blank"])
def test_unset_or_empty_is_the_default(name: str, text: str | None, tmp_path: Path) -> None:
    settings = _load({} if text is None else {name: text}, tmp_path)
    assert getattr(settings, FIELDS[name]) == CASES[name][0]
    assert settings == Settings()


@pytest.mark.parametrize(("name", "text", "value"), VALUES)
def test_a_value_is_taken(name: str, text: str, value: Any, tmp_path: Path) -> None:
    assert getattr(_load({name: text}, tmp_path), FIELDS[name]) == value


@pytest.mark.parametrize(("name", "text"), NONSENSE)
def test_nonsense_is_named_with_its_value_and_what_is_allowed(name: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        _load({name: text}, tmp_path)
    (variable,) = [variable for variable in VARIABLES if variable.name == name]
    assert str(caught.value) == f"{name} is {text!r}, but must be {variable.allowed}"


def test_the_shortest_pause_may_not_be_the_longer_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"TIMER_RETRY_MIN_S is 6, but must be at most TIMER_RETRY_MAX_S, which is 5"):
        _load({"TIMER_RETRY_MIN_S": "6"}, tmp_path)


def test_an_env_file_is_read_and_real_variables_win(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text('TIMER_SERVER="tcp://filed:1"\nTIMER_EVENTS=tcp://filed:2\nTIMER_TIMEOUT_S=\n')
    settings = _load({"TIMER_EVENTS": "tcp://real:2", "TIMER_SERVER": ""}, tmp_path)
    assert settings == Settings(server="tcp://filed:1", events="tcp://real:2")


def test_nonsense_in_an_env_file_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TIMER_TIMEOUT_S=soon\n")
    with pytest.raises(ConfigError, match="TIMER_TIMEOUT_S is 'soon'"):
        _load({}, tmp_path)


def test_an_env_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"TIMER_SERVER=\xff\xfe\n")
    with pytest.raises(ConfigError, match=r"\.env cannot be read"):
        _load({}, tmp_path)


def test_the_working_directory_and_the_environment_are_used_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIMER_TIMEOUT_S", "7")
    (tmp_path / ".env").write_text("TIMER_RETRY_DEADLINE_S=8\n")
    assert load_settings() == Settings(timeout_s=7, retry_deadline_s=8)


def test_options_win_and_are_named_as_such(tmp_path: Path) -> None:
    assert _load({"TIMER_SERVER": "tcp://real:1"}, tmp_path, server="tcp://option:1").server == "tcp://option:1"
    with pytest.raises(ConfigError, match="--retry-deadline is 'x', but must be"):
        _load({}, tmp_path, retry_deadline_s="x")


@pytest.mark.parametrize(
    "changes", [{"server": "nowhere"}, {"timeout_s": 0}, {"retry_min_s": 9}, {"timeout_s": float("nan")}]
)
def test_settings_made_by_hand_are_checked_too(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="must be"):
        Settings(**changes)
