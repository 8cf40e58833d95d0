"""The table of settings: every variable with its default, what it takes, and what it says about nonsense."""

from typing import Any

import pytest

from timer_protocol.settings import CLIENT_VARIABLES, SERVER_VARIABLES, SettingError, StorePlace

VARIABLES = {variable.name: variable for variable in (*SERVER_VARIABLES, *CLIENT_VARIABLES)}

BAD_BINDS = [
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
BAD_CONNECTS = [*BAD_BINDS, "tcp://*:8888", "tcp://host:*", "tcp://host:0", "tcp://host:00", "tcp://hőst:1"]
BAD_NUMBERS = ["0", "-1", "1.5", "1e3", "ten", "9" * 30, "0x10", "1_000", "١x", "1 000"]
BAD_SECONDS = ["-0.1", "5s", "never", "nan", "inf", "86400.1"]


def same(*texts: str) -> dict[str, Any]:
    """Texts that are their own values."""
    return {text: text for text in texts}


CASES: dict[str, tuple[Any, dict[str, Any], list[str]]] = {
    "TIMER_BIND": (
        "tcp://127.0.0.1:8888",
        same("tcp://*:8888", "tcp://127.0.0.1:*", "tcp://eth0:0", "tcp://[::1]:65535", "ipc:///tmp/t", "inproc://t"),
        BAD_BINDS,
    ),
    "TIMER_EVENTS_BIND": ("tcp://127.0.0.1:8889", same("tcp://0.0.0.0:1"), ["tcp://127.0.0.1"]),
    "TIMER_PEER_BIND": (
        "tcp://127.0.0.1:8890",
        same("tcp://*:8890", "tcp://eth0:0", "ipc:///run/peers"),
        ["inproc://peers", "tcp://127.0.0.1"],
    ),
    "TIMER_NAME": ("", same("timers-1", "näme 2"), ["a\nb", "\x1b[2J"]),
    "TIMER_ADVERTISE": (
        (),
        {
            "timers-1": ("timers-1",),
            "[::1]": ("[::1]",),
            "tcp://host:1, tcp://host:2": ("tcp://host:1", "tcp://host:2"),
            "tcp://h:1,tcp://h:2,tcp://h:3": ("tcp://h:1", "tcp://h:2", "tcp://h:3"),
        },
        [
            "tcp://host:1",
            "host:1",
            "tcp://*:1,tcp://*:2",
            "tcp://h:1,tcp://h:2,tcp://h:3,tcp://h:4",
            "tcp://h:1,tcp://h:2,tcp://h:1",
            "a b",
            "tcp://h:1,tcp://h:1",
        ],
    ),
    "TIMER_STORE": (
        StorePlace("timers.db"),
        {
            "memory:": StorePlace(),
            "sqlite:///data/timers.db": StorePlace("data/timers.db"),
            "sqlite:////var/timers.db": StorePlace("/var/timers.db"),
            "postgresql://user@h1,h2/timers": StorePlace(url="postgresql://user@h1,h2/timers"),
        },
        ["timers.db", "sqlite://", "sqlite:///", "sqlite:///:memory:", "postgresql:x", "memory", "sqlite:x"],
    ),
    "TIMER_REPLICATION": (
        "required",
        {"external": "external", "NONE": "none"},
        ["async", "required,none"],
    ),
    "TIMER_METRICS_BIND": (
        None,
        {"127.0.0.1:9464": ("127.0.0.1", 9464), "[::1]:9464": ("::1", 9464)},
        ["9464", ":9464", "host:", "host:65536", "http://host:9464", "a b:1"],
    ),
    "TIMER_CURVE_SERVER_SECRET": ("", same("keys/server.key_secret"), ["a\0b"]),
    "TIMER_CURVE_CLIENTS": ("", same("/etc/allowed"), ["a\0b"]),
    "TIMER_LOG_LEVEL": ("info", {"debug": "debug", "WARNING": "warning"}, ["verbose", "10", "infos"]),
    "TIMER_LOG_FORMAT": ("", {"text": "text", "JSON": "json"}, ["xml", "jsonl"]),
    "TIMER_MAX_TIMERS": (1_000_000, {"1": 1, "100000000": 100_000_000}, ["0", "100000001"]),
    "TIMER_MAX_PAYLOAD_BYTES": (65_536, {" 10 ": 10}, ["0", "16777217"]),
    "TIMER_MAX_BATCH": (1000, {"100000": 100_000}, ["0", "100001"]),
    "TIMER_MAX_MESSAGE_BYTES": (1_048_576, {"2048": 2048}, ["0", "268435457"]),
    "TIMER_MAX_DURATION_S": (315_360_000, {"60": 60}, ["0", "3153600001"]),
    "TIMER_RETENTION_S": (86_400, {"1": 1}, [*BAD_NUMBERS, "3153600001"]),
    "TIMER_SERVER": (
        "tcp://127.0.0.1:8888",
        {
            **same("tcp://timer-server:9000", "ipc:///run/timer.sock", "inproc://timers"),
            **same("tcp://a:1,tcp://b:2, ipc:///run/a,b.sock"),
            " tcp://[::1]:1 ": "tcp://[::1]:1",
        },
        [*BAD_CONNECTS, "tcp://a:1,", "tcp://a:1,b:2", "tcp://a:1;tcp://b:2", "tcp://a:1,tcp://*:2"],
    ),
    "TIMER_EVENTS": ("tcp://127.0.0.1:8889", same("tcp://timer-server:9001"), ["8889"]),
    "TIMER_TIMEOUT_S": (5.0, {"2": 2.0, "0.25": 0.25, "86400": 86400.0}, [*BAD_SECONDS, "0"]),
    "TIMER_RETRY_DEADLINE_S": (60.0, {"0": 0.0, "1.5": 1.5}, BAD_SECONDS),
    "TIMER_RETRY_MIN_S": (0.1, {"0.01": 0.01, "5": 5.0}, ["0", "quick"]),
    "TIMER_RETRY_MAX_S": (5.0, {"0.1": 0.1, "30": 30.0}, ["0", "soon"]),
    "TIMER_ID_PREFIX": ("", same("shop/"), ["a b", "x" * 93]),
    "TIMER_CURVE_CLIENT_SECRET": ("", same("keys/shop.key_secret"), ["a\0b"]),
    "TIMER_CURVE_SERVER_PUBLIC": ("", same("/etc/timer/server.key"), ["a\0b"]),
    "TIMER_COMMAND": ("timer", same("docker compose run client"), ["a\nb", "\x1b[2J"]),
}


def test_these_are_all_the_variables() -> None:
    assert list(VARIABLES) == list(CASES)


@pytest.mark.parametrize("name", CASES)
def test_default_when_unset_or_empty(name: str) -> None:
    for texts in ({}, {name: ""}, {name: "  "}):
        assert VARIABLES[name].read(texts) == CASES[name][0]


@pytest.mark.parametrize("name", CASES)
def test_values_are_taken(name: str) -> None:
    for text, value in CASES[name][1].items():
        assert VARIABLES[name].read({name: text}) == value


@pytest.mark.parametrize("name", CASES)
def test_nonsense_is_refused_with_variable_value_and_what_is_allowed(name: str) -> None:
    for text in CASES[name][2]:
        with pytest.raises(SettingError) as refused:
            VARIABLES[name].read({name: text})

        sentence = f"{name} is {text!r}, but must be {VARIABLES[name].kind.allowed}"
        assert str(refused.value) == sentence
        assert "\n" not in sentence
