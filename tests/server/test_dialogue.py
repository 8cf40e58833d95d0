"""The seed's dialogue over real sockets: three forms and their faults."""

import pytest
import zmq

from drivers.peers import Requester, socket_to
from local_server import LocalServer


def durations(rpc: Requester) -> list[int]:
    return sorted(timer["duration_ms"] for timer in rpc.call("timer.list")["timers"])


def test_one_message_of_three_frames(server: LocalServer, rpc: Requester) -> None:
    with socket_to(zmq.REQ, server.commands) as socket:
        socket.send_multipart([b"1", b"2", b"3"])
        assert socket.recv_multipart() == [b"1", b"2", b"3"]
    assert durations(rpc) == [3_723_000]


@pytest.mark.parametrize("envelope", [[], [b""], [b"7", b""]])
def test_one_message_of_three_frames_from_a_dealer(server: LocalServer, rpc: Requester, envelope: list[bytes]) -> None:
    with socket_to(zmq.DEALER, server.commands) as socket:
        socket.send_multipart([*envelope, b"0", b"0", b"30"])
        assert socket.recv_multipart() == [*envelope, b"0", b"0", b"30"]
    assert durations(rpc) == [30_000]


@pytest.mark.parametrize("options", [{}, {"req_relaxed": True, "req_correlate": True}])
def test_three_requests_in_lock_step(server: LocalServer, rpc: Requester, options: dict[str, bool]) -> None:
    with socket_to(zmq.REQ, server.commands, **options) as socket:
        for text in (b"0", b"1.5", b" 30 "):
            assert durations(rpc) == []
            socket.send(text)
            assert socket.recv_multipart() == [text]
    assert durations(rpc) == [120_000]


def test_three_bare_messages_of_a_dealer(server: LocalServer, rpc: Requester) -> None:
    with socket_to(zmq.DEALER, server.commands) as socket:
        for text in (b"0", b"0", b"9", b"0", b"0", b"8"):
            socket.send(text)
        assert [socket.recv_multipart() for _ in range(6)] == [[b"0"], [b"0"], [b"9"], [b"0"], [b"0"], [b"8"]]
    assert durations(rpc) == [8_000, 9_000]


def test_a_dealers_empty_message_gets_an_error(server: LocalServer) -> None:
    with socket_to(zmq.DEALER, server.commands) as socket:
        socket.send(b"")
        envelope, text = socket.recv_multipart()
        assert envelope == b""
        assert text.startswith(b"error: ")
