"""The proxy does to a connection what it says: campaigns that go through it rest on that."""

import select
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from campaigns.proxy import Proxy

LIMIT_S = 5.0
SILENCE_S = 0.2


@pytest.fixture
def echo() -> Iterator[str]:
    """A server that returns every byte."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_serve, args=(listener,), daemon=True).start()
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts


def _serve(listener: socket.socket) -> None:
    while True:
        try:
            peer, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_return_all, args=(peer,), daemon=True).start()


def _return_all(peer: socket.socket) -> None:
    with peer:
        try:
            while chunk := peer.recv(65_536):
                peer.sendall(chunk)
        except OSError:
            return


@pytest.fixture
def proxy(echo: str) -> Iterator[Proxy]:
    with Proxy(echo) as running:
        yield running


def connected(proxy: Proxy) -> socket.socket:
    """A connection through the proxy that has carried something."""
    peer = socket.create_connection(("127.0.0.1", int(proxy.endpoint.rpartition(":")[2])), timeout=LIMIT_S)
    peer.sendall(b"hello")
    assert take(peer, 5) == b"hello"
    return peer


def take(peer: socket.socket, count: int) -> bytes:
    """The next so many bytes."""
    taken = b""
    while len(taken) < count and (chunk := peer.recv(count - len(taken))):
        taken += chunk
    return taken


def is_silent(peer: socket.socket) -> bool:
    """Whether nothing comes for a while, not even an end."""
    return not select.select([peer], [], [], SILENCE_S)[0]


def test_forwards_much_in_both_directions(proxy: Proxy) -> None:
    sent = bytes(range(256)) * 4096
    with connected(proxy) as peer:
        threading.Thread(target=peer.sendall, args=(sent,), daemon=True).start()
        assert take(peer, len(sent)) == sent


def test_an_end_is_passed_on(proxy: Proxy) -> None:
    with connected(proxy) as peer:
        peer.shutdown(socket.SHUT_WR)
        assert peer.recv(1) == b""


def test_cut_resets_what_stands_and_carries_what_comes(proxy: Proxy) -> None:
    with connected(proxy) as peer:
        assert proxy.cut() == 1
        with pytest.raises(ConnectionResetError):
            peer.recv(1)
    with connected(proxy):
        assert proxy.carried == 2


def test_cut_in_the_middle(proxy: Proxy) -> None:
    with connected(proxy) as peer:
        proxy.cut_after(3)
        peer.sendall(b"message")
        assert take(peer, 3) == b"mes"
        with pytest.raises(ConnectionResetError):
            peer.recv(1)


def test_what_is_held_comes_late(proxy: Proxy) -> None:
    with connected(proxy) as held:
        proxy.hold()
        held.sendall(b"late")
        assert is_silent(held)
        with connected(proxy):
            assert is_silent(held)
        proxy.resume()
        assert take(held, 4) == b"late"


def test_silence_holds_new_connections_too(proxy: Proxy) -> None:
    proxy.silence()
    with socket.create_connection(("127.0.0.1", int(proxy.endpoint.rpartition(":")[2])), timeout=LIMIT_S) as peer:
        peer.sendall(b"late")
        assert is_silent(peer)
        proxy.resume()
        assert take(peer, 4) == b"late"


def test_delay(proxy: Proxy) -> None:
    with connected(proxy) as peer:
        proxy.delay_s = lambda: 0.1
        begun = time.monotonic()
        peer.sendall(b"slow")
        assert take(peer, 4) == b"slow"
        assert time.monotonic() - begun >= 0.2  # there and back


def test_the_request_passes_and_its_reply_does_not(proxy: Proxy) -> None:
    with connected(proxy) as peer:
        proxy.lose_reply(b"this", b"this")
        peer.sendall(b"other")
        assert take(peer, 5) == b"other"
        assert not proxy.reply_lost.is_set()
        peer.sendall(b"this")
        with pytest.raises(ConnectionResetError):
            peer.recv(1)
        assert proxy.reply_lost.is_set()
    with connected(proxy) as peer:
        peer.sendall(b"this")
        assert take(peer, 4) == b"this"
