"""Settings: every variable with its default, what it takes, and what it says about nonsense."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import timer_server
from timer_protocol.limits import Limits
from timer_server.access.keys import CurveFiles
from timer_server.settings import VARIABLES, ConfigError, load_environment, read_config

DEFAULTS: dict[str, Any] = {
    "TIMER_BIND": "tcp://127.0.0.1:8888",
    "TIMER_EVENTS_BIND": "tcp://127.0.0.1:8889",
    "TIMER_STORE": Path("timers.db"),
    "TIMER_METRICS_BIND": None,
    "TIMER_CURVE_SERVER_SECRET": None,
    "TIMER_LOG_LEVEL": "info",
    "TIMER_MAX_TIMERS": 1_000_000,
    "TIMER_MAX_PAYLOAD_BYTES": 65_536,
    "TIMER_MAX_BATCH": 1000,
    "TIMER_MAX_MESSAGE_BYTES": 1_048_576,
    "TIMER_MAX_DURATION_S": 315_360_000,
    "TIMER_RETENTION_S": 86_400,
}
FIELDS = {
    "TIMER_BIND": "bind",
    "TIMER_EVENTS_BIND": "events_bind",
    "TIMER_STORE": "store_path",
    "TIMER_METRICS_BIND": "metrics_bind",
    "TIMER_CURVE_SERVER_SECRET": "curve",
    "TIMER_LOG_LEVEL": "log_level",
    "TIMER_LOG_FORMAT": "log_format",
}
NAMES = [*DEFAULTS, "TIMER_LOG_FORMAT", "TIMER_CURVE_CLIENTS"]


def setting(name: str, environment: dict[str, str]) -> Any:
    config = read_config(environment)
    if name in FIELDS:
        return getattr(config, FIELDS[name])
    return getattr(config.limits, name.removeprefix("TIMER_").lower())


def test_these_are_all_the_variables() -> None:
    assert sorted(variable.name for variable in VARIABLES) == sorted(NAMES)


@pytest.mark.parametrize(("name", "value"), DEFAULTS.items())
@pytest.mark.parametrize("environment", [None, "", "  "])
def test_default_when_unset_or_empty(name: str, value: Any, environment: str | None) -> None:
    assert setting(name, {} if environment is None else {name: environment}) == value


def test_limits_without_any_variable_are_those_of_the_protocol() -> None:
    assert read_config({}).limits == Limits()


@pytest.mark.parametrize(("is_terminal", "form"), [(True, "text"), (False, "json")])
@pytest.mark.parametrize("environment", [{}, {"TIMER_LOG_FORMAT": ""}])
def test_log_format_follows_the_terminal(
    environment: dict[str, str], is_terminal: bool, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)

    assert read_config(environment).log_format == form


ENDPOINTS = [
    "tcp://*:8888",
    "tcp://0.0.0.0:1",
    "tcp://127.0.0.1:*",
    "tcp://eth0:0",
    "tcp://[::1]:65535",
    "ipc:///tmp/t",
]
TAKEN = [
    *(("TIMER_BIND", text, text) for text in [*ENDPOINTS, "inproc://test"]),
    *(("TIMER_EVENTS_BIND", text, text) for text in ENDPOINTS),
    ("TIMER_STORE", "memory:", None),
    ("TIMER_STORE", "sqlite:///data/timers.db", Path("data/timers.db")),
    ("TIMER_STORE", "sqlite:////var/lib/timers.db", Path("/var/lib/timers.db")),
    ("TIMER_METRICS_BIND", "127.0.0.1:9464", ("127.0.0.1", 9464)),
    ("TIMER_METRICS_BIND", "[::1]:9464", ("::1", 9464)),
    ("TIMER_CURVE_SERVER_SECRET", "keys/s.key_secret", CurveFiles(Path("keys/s.key_secret"), Path("keys/clients"))),
    ("TIMER_LOG_LEVEL", "debug", "debug"),
    ("TIMER_LOG_LEVEL", "WARNING", "warning"),
    ("TIMER_LOG_FORMAT", "text", "text"),
    ("TIMER_LOG_FORMAT", "JSON", "json"),
    ("TIMER_MAX_TIMERS", "1", 1),
    ("TIMER_MAX_PAYLOAD_BYTES", " 10 ", 10),
    ("TIMER_MAX_BATCH", "100000", 100_000),
    ("TIMER_MAX_MESSAGE_BYTES", "2048", 2048),
    ("TIMER_MAX_DURATION_S", "60", 60),
    ("TIMER_RETENTION_S", "1", 1),
]


@pytest.mark.parametrize(("name", "text", "value"), TAKEN)
def test_value_is_taken(name: str, text: str, value: Any) -> None:
    assert setting(name, {name: text}) == value


BAD_NUMBERS = ["0", "-1", "1.5", "1e3", "ten", "9" * 30, "0x10", "1_000", "١x", "1 000"]
BAD_ENDPOINTS = [
    "8888",
    "127.0.0.1:8888",
    "tcp://127.0.0.1",
    "tcp://127.0.0.1:",
    "tcp://127.0.0.1:65536",
    "tcp://127.0.0.1:88:88",
    "tcp://:8888",
    "tcp://a b:8888",
    "udp://127.0.0.1:8888",
    "http://127.0.0.1:8888",
    "tcp:///127.0.0.1:8888",
    "ipc://",
    "TCP://127.0.0.1:8888",
    "tcp://127.0.0.1:8888\ntcp://127.0.0.1:8889",
]
REFUSED = [
    *(("TIMER_BIND", text) for text in BAD_ENDPOINTS),
    ("TIMER_EVENTS_BIND", "tcp://127.0.0.1"),
    *(("TIMER_STORE", text) for text in ["timers.db", "sqlite://", "sqlite:///", "postgres://x", "memory", "sqlite:x"]),
    ("TIMER_STORE", "sqlite:///:memory:"),
    *(("TIMER_METRICS_BIND", text) for text in ["9464", ":9464", "host:", "host:65536", "http://host:9464", "a b:1"]),
    ("TIMER_CURVE_SERVER_SECRET", "a\0b"),
    ("TIMER_CURVE_CLIENTS", "a\0b"),
    *(("TIMER_LOG_LEVEL", text) for text in ["verbose", "10", "infos"]),
    *(("TIMER_LOG_FORMAT", text) for text in ["xml", "jsonl"]),
    *((name, text) for name in DEFAULTS if name.startswith("TIMER_MAX_") for text in ("0", "ten")),
    *(("TIMER_RETENTION_S", text) for text in BAD_NUMBERS),
    ("TIMER_MAX_TIMERS", "100000001"),
    ("TIMER_MAX_BATCH", "100001"),
    ("TIMER_MAX_DURATION_S", "3153600001"),
]


@pytest.mark.parametrize(("name", "text"), REFUSED)
def test_nonsense_is_refused_with_variable_value_and_what_is_allowed(name: str, text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_config({name: text})

    allowed = next(variable.allowed for variable in VARIABLES if variable.name == name)
    sentence = str(refused.value)
    assert name in sentence
    assert repr(text) in sentence
    assert allowed in sentence
    assert "\n" not in sentence


def test_the_folder_of_clients_may_be_elsewhere() -> None:
    config = read_config({"TIMER_CURVE_SERVER_SECRET": "s.key_secret", "TIMER_CURVE_CLIENTS": "/etc/allowed"})

    assert config.curve == CurveFiles(Path("s.key_secret"), Path("/etc/allowed"))


def test_a_folder_of_clients_without_a_pair_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"TIMER_CURVE_CLIENTS .*'allowed'.*TIMER_CURVE_SERVER_SECRET is unset"):
        read_config({"TIMER_CURVE_CLIENTS": "allowed"})


class TestEnvFile:
    @pytest.fixture(autouse=True)
    def without_variables(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in NAMES:
            monkeypatch.delenv(name, raising=False)

    def test_is_read(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text('# for a trial\nTIMER_STORE=memory:\nTIMER_LOG_LEVEL="debug"\n')

        config = read_config(load_environment(tmp_path))

        assert (config.store_path, config.log_level) == (None, "debug")

    def test_real_variable_wins(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / ".env").write_text("TIMER_MAX_BATCH=5\nTIMER_MAX_TIMERS=6\n")
        monkeypatch.setenv("TIMER_MAX_BATCH", "7")

        limits = read_config(load_environment(tmp_path)).limits

        assert (limits.max_batch, limits.max_timers) == (7, 6)

    def test_real_variable_that_is_empty_does_not(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / ".env").write_text("TIMER_MAX_BATCH=5\n")
        monkeypatch.setenv("TIMER_MAX_BATCH", "")

        assert read_config(load_environment(tmp_path)).limits.max_batch == 5

    def test_empty_one_in_the_file_counts_as_unset(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text("TIMER_MAX_BATCH=\nTIMER_LOG_LEVEL\n")

        config = read_config(load_environment(tmp_path))

        assert (config.limits.max_batch, config.log_level) == (1000, "info")

    def test_need_not_be_there(self, tmp_path: Path) -> None:
        assert "TIMER_BIND" not in load_environment(tmp_path)

    def test_does_not_change_the_environment(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text("TIMER_MAX_BATCH=5\n")

        load_environment(tmp_path)

        assert "TIMER_MAX_BATCH" not in os.environ

    def test_that_is_not_text_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_bytes(b"TIMER_BIND=\xff\xfe\n")

        with pytest.raises(ConfigError) as refused:
            load_environment(tmp_path)

        assert ".env" in str(refused.value)


@pytest.mark.parametrize(
    ("environment", "env_file", "named"),
    [
        ({"TIMER_BIND": "somewhere"}, b"", ["TIMER_BIND", "'somewhere'", "tcp://HOST:PORT"]),
        ({}, b"TIMER_RETENTION_S=never\n", ["TIMER_RETENTION_S", "'never'", "a whole number of seconds"]),
        ({}, b"\xff\xfe", [".env"]),
    ],
    ids=["variable", "env file", "broken env file"],
)
def test_program_stops_with_one_sentence(
    tmp_path: Path, environment: dict[str, str], env_file: bytes, named: list[str]
) -> None:
    (tmp_path / ".env").write_bytes(env_file)
    services = Path(timer_server.__file__).parents[1]

    ended = subprocess.run(
        [sys.executable, "-m", "timer_server"],
        cwd=tmp_path,
        env={"PATH": os.defpath, "PYTHONPATH": str(services), **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert ended.returncode == 2
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1
    assert all(word in ended.stderr for word in named)
    assert list(tmp_path.iterdir()) == [tmp_path / ".env"]
