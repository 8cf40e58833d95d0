"""Very many subscribers at once: all hear every event, once, and those who go take nothing from the others."""

import re
import resource
import selectors
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from drivers.peers import requester
from drivers.raw_zmtp import RawPeer, frame, raw_peer
from drivers.server_process import ServerProcess

VERSION = re.compile(rb'"version":(\d+)[,}]')
RECEIVE_BYTES = 1 << 16
MANY = 2_000
CHANGES = 20
FEW_DESCRIPTORS = 512
"""What a shell usually allows, until the server raises that itself."""

LIMIT_S = 30


class Subscriber:
    """A subscriber of the timer and of the beat, over a plain connection."""

    def __init__(self, peer: RawPeer) -> None:
        self.tcp = peer.shake_hands(b"SUB").tcp
        peer.send(frame(b"\x01a ") + frame(b"\x01~beat"))
        self.tcp.setblocking(False)
        self._stream = b""

    @property
    def is_subscribed(self) -> bool:
        """Whether it has heard a beat: to that it has subscribed last."""
        return b"~beat" in self._stream

    @property
    def versions(self) -> list[int]:
        """The versions of the timer that it has heard of, in order."""
        return [int(version) for version in VERSION.findall(self._stream)]

    def read(self) -> None:
        data = self.tcp.recv(RECEIVE_BYTES)
        assert data, "a subscriber was cut off"
        self._stream += data


def read_until(subscribers: Sequence[Subscriber], is_enough: Callable[[Subscriber], bool]) -> None:
    """Has all of them read until each has enough."""
    with selectors.DefaultSelector() as ready:
        for subscriber in subscribers:
            if not is_enough(subscriber):
                ready.register(subscriber.tcp, selectors.EVENT_READ, subscriber)
        while ready.get_map():
            told = ready.select(LIMIT_S)
            assert told, f"{len(ready.get_map())} of {len(subscribers)} subscribers hear nothing more"
            for key, _ in told:
                key.data.read()
                if is_enough(key.data):
                    ready.unregister(key.fileobj)


@pytest.fixture
def descriptors() -> Iterator[None]:
    """As many as this process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def many(server: ServerProcess) -> Iterator[list[Subscriber]]:
    with ExitStack() as stack:
        subscribers = [Subscriber(stack.enter_context(raw_peer(server.events))) for _ in range(MANY)]
        read_until(subscribers, lambda one: one.is_subscribed)
        yield subscribers


def test_two_thousand_subscribers_hear_every_change_once(tmp_path: Path, descriptors: None) -> None:
    server = ServerProcess(tmp_path)
    server.within = ("sh", "-c", f'ulimit -S -n {FEW_DESCRIPTORS} && exec "$@"', "sh")
    with server, requester(server.commands) as rpc:
        rpc.call("timer.start", id="a", hours=1)
        with many(server) as subscribers:
            for _ in range(CHANGES):
                rpc.call("timer.extend", id="a", seconds=1)
            everything = list(range(2, CHANGES + 2))
            read_until(subscribers, lambda one: len(one.versions) >= CHANGES)
            assert all(one.versions == everything for one in subscribers)
            gone, staying = subscribers[::2], subscribers[1::2]
            for one in gone:
                one.tcp.close()
            rpc.call("timer.extend", id="a", seconds=1)
            read_until(staying, lambda one: len(one.versions) > CHANGES)
            assert all(one.versions == [*everything, CHANGES + 2] for one in staying)
