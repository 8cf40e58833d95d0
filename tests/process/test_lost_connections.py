"""A connection that is lost while its messages fill a queue ends no process, as libzmq's own assertions would."""

import os
import socket
import struct
import subprocess
import sys
from contextlib import suppress

from drivers.peers import requester
from drivers.server_process import SERVICES, ServerProcess

LIMIT_S = 10.0
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"NULL".ljust(20, b"\0") + bytes(32)
PING = b"\x04\x07\x04PING\0\0"
RESET = struct.pack("ii", 1, 0)


def frame(body: bytes, flags: int = 0) -> bytes:
    return bytes([flags, len(body)]) + body


def ready(socket_type: bytes) -> bytes:
    return frame(b"\x05READY\x0bSocket-Type" + struct.pack(">I", len(socket_type)) + socket_type, flags=4)


def shake_hands(peer: socket.socket, socket_type: bytes) -> None:
    """As a ZeroMQ socket does it, on a plain one."""
    peer.settimeout(LIMIT_S)
    peer.sendall(GREETING)
    with peer.makefile("rb") as stream:
        assert len(stream.read(len(GREETING))) == len(GREETING)
        peer.sendall(ready(socket_type))
        _, size = stream.read(2)
        assert b"READY" in stream.read(size)


def overfill_and_reset(peer: socket.socket, messages: bytes) -> None:
    """Sends until nothing more is taken, or the messages are gone; then ends the connection."""
    peer.settimeout(0.5)
    with suppress(TimeoutError):
        peer.sendall(messages)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    peer.close()


def test_the_server_outlives_a_peer_that_floods_it_and_goes(server_process: ServerProcess) -> None:
    message = frame(b'{"jsonrpc":"2.0","method":"server.info"}')
    host, _, port = server_process.commands.removeprefix("tcp://").rpartition(":")
    for _ in range(3):
        peer = socket.create_connection((host, int(port)), LIMIT_S)
        shake_hands(peer, b"DEALER")
        overfill_and_reset(peer, (message * 20 + PING) * 1000)
        with requester(server_process.commands) as rpc:
            assert rpc.call("server.info")["protocol"] == "timer/1"


SLOW_SUBSCRIBER = """
import sys, time, zmq
from timer_client.link import HEARTBEAT_INTERVAL_MS, subscribed
socket = subscribed(zmq.Context(), sys.argv[1], [b""])
time.sleep(1.5 * HEARTBEAT_INTERVAL_MS / 1000)  # busy with something else, while its queue fills and a heartbeat is due
while socket.poll(200):
    assert len(socket.recv_multipart()) == 2
print("well")
"""


def test_a_subscriber_outlives_a_server_that_goes_while_its_queue_is_full() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        subscriber = subprocess.Popen(
            [sys.executable, "-c", SLOW_SUBSCRIBER, f"tcp://127.0.0.1:{listener.getsockname()[1]}"],
            env=os.environ | {"PYTHONPATH": str(SERVICES)},
            stdout=subprocess.PIPE,
        )
        try:
            listener.settimeout(LIMIT_S)
            peer, _ = listener.accept()
            shake_hands(peer, b"PUB")
            overfill_and_reset(peer, (frame(b"topic", flags=1) + frame(b"x" * 50)) * 20_000)
            assert subscriber.communicate(timeout=LIMIT_S)[0] == b"well\n"
        finally:
            subscriber.kill()
            subscriber.communicate()
