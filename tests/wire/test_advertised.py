"""Where clients are told to reach a server."""

import pytest

from timer_server.wire.advertised import Endpoints, advertised


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
    assert advertised(setting, Endpoints(bound, "tcp://127.0.0.1:8889"), "machine").commands == told


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        (("tcp://a:1", "tcp://b:2"), ("tcp://a:1", "tcp://b:2", "tcp://machine:8890")),
        (("tcp://a:1", "tcp://b:2", "tcp://c:3"), ("tcp://a:1", "tcp://b:2", "tcp://c:3")),
        (("a",), ("tcp://a:8888", "tcp://a:8889", "tcp://a:8890")),
    ],
)
def test_each_socket_may_be_told_at_another_address(setting: tuple[str, ...], told: tuple[str, ...]) -> None:
    bound = Endpoints("tcp://0.0.0.0:8888", "tcp://0.0.0.0:8889", "tcp://0.0.0.0:8890")
    assert advertised(setting, bound, "machine") == told
