"""Where clients are told to reach a server."""

import pytest

from timer_server.wire.advertised import advertised


@pytest.mark.parametrize(
    ("setting", "bound", "told"),
    [
        ((), "tcp://127.0.0.1:8888", "tcp://127.0.0.1:8888"),
        ((), "tcp://0.0.0.0:8888", "tcp://machine:8888"),
        ((), "tcp://[::]:8888", "tcp://machine:8888"),
        ((), "ipc:///run/timers", "ipc:///run/timers"),
        (("timers-1",), "tcp://0.0.0.0:8888", "tcp://timers-1:8888"),
        (("[::1]",), "tcp://127.0.0.1:8888", "tcp://[::1]:8888"),
        (("timers-1",), "ipc:///run/timers", "ipc:///run/timers"),
        (("tcp://outside:1", "tcp://outside:2"), "tcp://0.0.0.0:8888", "tcp://outside:1"),
    ],
)
def test_what_a_bind_is_called_for_others(setting: tuple[str, ...], bound: str, told: str) -> None:
    commands, _ = advertised(setting, bound, "tcp://127.0.0.1:8889", "machine")
    assert commands == told


def test_both_sockets_may_be_told_at_other_addresses() -> None:
    assert advertised(("tcp://a:1", "tcp://b:2"), "tcp://0.0.0.0:8888", "tcp://0.0.0.0:8889", "machine") == (
        "tcp://a:1",
        "tcp://b:2",
    )
