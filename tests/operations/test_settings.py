"""The server's settings: what is made of the table's values, and how a wrong one stops the program."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from drivers.server_process import SERVICES
from timer_protocol.limits import Limits
from timer_protocol.settings import SettingError, Variables
from timer_server.access.keys import CurveFiles
from timer_server.settings import Config, read_config


def test_values_reach_their_places() -> None:
    assert read_config(
        {
            "TIMER_BIND": "tcp://*:1",
            "TIMER_EVENTS_BIND": "tcp://*:2",
            "TIMER_STORE": "sqlite:///data/timers.db",
            "TIMER_METRICS_BIND": "127.0.0.1:9464",
            "TIMER_LOG_LEVEL": "debug",
            "TIMER_LOG_FORMAT": "text",
            "TIMER_MAX_BATCH": "5",
            "TIMER_RETENTION_S": "6",
            "TIMER_CURVE_SERVER_SECRET": "keys/s.key_secret",
        }
    ) == Config(
        bind="tcp://*:1",
        events_bind="tcp://*:2",
        store_path=Path("data/timers.db"),
        metrics_bind=("127.0.0.1", 9464),
        log_level="debug",
        log_format="text",
        limits=Limits(max_batch=5, retention_s=6),
        curve=CurveFiles(Path("keys/s.key_secret"), Path("keys/clients")),
    )


def test_without_any_variable() -> None:
    config = read_config({})

    assert (config.store_path, config.curve, config.limits) == (Path("timers.db"), None, Limits())
    assert read_config({"TIMER_STORE": "memory:"}).store_path is None


@pytest.mark.parametrize(("is_terminal", "form"), [(True, "text"), (False, "json")])
def test_log_format_follows_the_terminal(is_terminal: bool, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)

    assert read_config({"TIMER_LOG_FORMAT": ""}).log_format == form


def test_the_folder_of_clients_may_be_elsewhere() -> None:
    config = read_config({"TIMER_CURVE_SERVER_SECRET": "s.key_secret", "TIMER_CURVE_CLIENTS": "/etc/allowed"})

    assert config.curve == CurveFiles(Path("s.key_secret"), Path("/etc/allowed"))


def test_a_folder_of_clients_without_a_pair_is_refused() -> None:
    with pytest.raises(
        SettingError, match=r"TIMER_CURVE_CLIENTS .*'allowed'.*SECRET is unset: set both; it is set in x"
    ):
        read_config(Variables({"TIMER_CURVE_CLIENTS": "allowed"}, {"TIMER_CURVE_CLIENTS": "x"}))


@pytest.mark.parametrize(
    ("environment", "env_file", "named"),
    [
        (
            {"TIMER_BIND": "somewhere"},
            b"",
            ["TIMER_BIND", "'somewhere'", "tcp://HOST:PORT", "; it is set in the environment"],
        ),
        ({}, b"TIMER_RETENTION_S=never\n", ["TIMER_RETENTION_S", "'never'", "a whole number of", "/.env, line 1"]),
        ({}, b"\xff\xfe", [".env, line 1, cannot be read"]),
        ({}, b"TIMER_STORE=memory:\nTIMER_BIND tcp://*:1\n", [".env, line 2, cannot be read"]),
    ],
    ids=["variable", "env file", "broken env file", "broken line"],
)
def test_program_stops_with_one_sentence(
    tmp_path: Path, environment: dict[str, str], env_file: bytes, named: list[str]
) -> None:
    (tmp_path / ".env").write_bytes(env_file)

    ended = subprocess.run(
        [sys.executable, "-m", "timer_server"],
        cwd=tmp_path,
        env={"PATH": os.defpath, "PYTHONPATH": str(SERVICES), **environment},
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
