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


def test_peers_do_not_mix(server: LocalServer, rpc: Requester) -> None:
    with socket_to(zmq.REQ, server.commands) as one, socket_to(zmq.REQ, server.commands) as other:
        for text in (b"0", b"0", b"5"):
            for socket in (one, other):
                socket.send(text)
                assert socket.recv() == text
    assert durations(rpc) == [5_000, 5_000]


@pytest.mark.parametrize(
    "frames",
    [
        [b"abc"],
        [b""],
        [b"-1"],
        [b"1e3"],
        [b"NaN"],
        [b"\xff\xfe"],
        [b"\xd9\xa3"],
        [b"0", b"0"],
        [b"0", b"0", b"0"],
        [b"0", b"0", b"five"],
        [b"0", b"0", b"0", b"5"],
        [b"999999999", b"0", b"0"],
        [b"1"] * 1000,
        [b"9" * 100_000],
        [b"{}", b"{}"],
    ],
)
def test_faults_get_an_error_that_says_why(server: LocalServer, rpc: Requester, frames: list[bytes]) -> None:
    with socket_to(zmq.REQ, server.commands) as socket:
        socket.send_multipart(frames)
        reply = socket.recv_multipart()
        assert len(reply) == 1
        assert reply[0].startswith(b"error: ")
        assert 20 < len(reply[0]) < 300
        socket.send_multipart([b"0", b"0", b"7"])
        assert socket.recv_multipart() == [b"0", b"0", b"7"]
    assert durations(rpc) == [7_000]


def test_a_dealers_empty_message_gets_an_error(server: LocalServer) -> None:
    with socket_to(zmq.DEALER, server.commands) as socket:
        socket.send(b"")
        envelope, text = socket.recv_multipart()
        assert envelope == b""
        assert text.startswith(b"error: ")


def test_after_a_bad_text_the_next_is_hours_again(server: LocalServer, rpc: Requester) -> None:
    with socket_to(zmq.REQ, server.commands) as socket:
        for text, is_good in ((b"5", True), (b"five", False), (b"0", True), (b"0", True), (b"6", True)):
            socket.send(text)
            assert socket.recv().startswith(b"error: ") is not is_good
    assert durations(rpc) == [6_000]
