"""Performs the exchanges of PROTOCOL.md with plain sockets, and compares every frame."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import zmq

from docs.protocol_document import Block, Message, Passes, Step, Subscribes, steps
from drivers.peers import socket_to
from fake_time import FakeTime
from local_server import LocalServer
from timer_server.loop.clock import NS_PER_MS, Boot, BootNs, Sources, WallNs

BEGIN_MS = 1_767_225_600_000
"""2026-01-01T00:00:00Z, when the document's session begins."""

BEAT_LIMIT_MS = 20

_INFO = b'{"jsonrpc":"2.0","method":"server.info","id":0}'
_VOLATILE = re.compile(
    r"(?P<rest>…)"
    r'|(?P<version>(?<="version":")[0-9][^"]*)'
    r'|(?P<release>((?<="tzdata":")|(?<=tzdata ))[0-9]{4}[a-z])'
    r"|(?P<random>(?<=-7)[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12})"
    r"|(?P<moment>\b1[0-9]{12}\b)"
)
_INSTEAD = {
    "rest": ".*",
    "version": '[^"]+',
    "release": "[0-9]{4}[a-z]+",
    "random": "[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
    "moment": r"\d{13}",
}


class FrozenTime:
    """Clocks that stand still but for what the document lets pass, so that every number in it can be exact."""

    def __init__(self) -> None:
        self._passed_ns = 0

    def sources(self) -> Sources:
        """The clocks as the server reads them."""
        return Sources(
            lambda: Boot("boot-1"),
            lambda: BootNs(self._passed_ns),
            lambda: WallNs(BEGIN_MS * NS_PER_MS + self._passed_ns),
        )

    def pass_ms(self, ms: int) -> None:
        """Lets time pass."""
        self._passed_ns += ms * NS_PER_MS


class Requests:
    """One peer at the commands socket. What a REQ does with the first frames by itself is taken off and put back."""

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self._socket = socket
        self._is_req = socket.type == zmq.REQ

    def send(self, frames: list[bytes]) -> None:
        """Sends the frames as they are to be on the wire."""
        self._socket.send_multipart(frames[1:] if self._is_req else frames)

    def receive(self) -> list[bytes]:
        """The frames as they were on the wire."""
        frames = self._socket.recv_multipart()
        return [b"", *frames] if self._is_req else frames


@contextmanager
def peer(server: LocalServer, kind: int, **options: Any) -> Iterator[Requests]:
    """A peer at the commands socket."""
    with socket_to(kind, server.commands, **options) as socket:
        yield Requests(socket)


def is_for_req(block: Block) -> bool:
    """Whether a REQ can do what a block shows."""
    return block.note != "dealer"


def perform(block: Block, server: LocalServer, requests: Requests, time: FrozenTime) -> None:
    """One block of the session. Raises AssertionError where a reply is not what the document says."""
    for step in steps(block):
        if isinstance(step, Passes):
            time.pass_ms(step.ms)
            _wake(server)
        elif isinstance(step, Message) and step.is_sent:
            requests.send(step.frames)
        else:
            assert isinstance(step, Message), step
            _compare(step, requests.receive(), moments=True)


def perform_events(block: Block, server: LocalServer, time: FakeTime) -> None:
    """A block with a subscriber. The clocks run, so moments are compared by their form only."""
    with ExitStack() as sockets:
        subscriber = sockets.enter_context(socket_to(zmq.SUB, server.events))
        requests = sockets.enter_context(peer(server, zmq.DEALER))
        for step in steps(block):
            if isinstance(step, Subscribes):
                subscriber.subscribe(step.topic)
                continue
            assert isinstance(step, Message), step
            if step.is_sent:
                requests.send(step.frames)
            elif not step.by_subscriber:
                _compare(step, requests.receive(), moments=False)
            else:
                _hear(step, subscriber, server, time)


def _hear(step: Message, subscriber: zmq.Socket[bytes], server: LocalServer, time: FakeTime) -> None:
    is_beat = step.frames[0] == b"~beat"
    while is_beat and not subscriber.poll(BEAT_LIMIT_MS):
        time.pass_s(1)
        _wake(server)
    heard = subscriber.recv_multipart()
    while not is_beat and heard[0] == b"~beat":
        heard = subscriber.recv_multipart()
    _compare(step, heard, moments=False)


def _wake(server: LocalServer) -> None:
    """Makes the loop look at the clock now."""
    with socket_to(zmq.REQ, server.commands) as socket:
        socket.send(_INFO)
        socket.recv()


def _compare(expected: Step, actual: list[bytes], moments: bool) -> None:
    assert isinstance(expected, Message)
    patterns = [_pattern(_text(frame), moments) for frame in expected.frames]
    is_same = len(patterns) == len(actual) and all(
        pattern.fullmatch(_text(frame)) for pattern, frame in zip(patterns, actual, strict=True)
    )
    assert is_same, (
        f"line {expected.line}: PROTOCOL.md says\n{_shown(expected.frames)}\nbut the server says\n{_shown(actual)}"
    )


def _pattern(text: str, moments: bool) -> re.Pattern[str]:
    """What a frame has to match: the text itself, but for what differs from run to run."""
    pattern, at = "", 0
    for volatile in _VOLATILE.finditer(text):
        assert volatile.lastgroup is not None
        pattern += re.escape(text[at : volatile.start()])
        pattern += (
            re.escape(volatile[0]) if moments and volatile.lastgroup == "moment" else _INSTEAD[volatile.lastgroup]
        )
        at = volatile.end()
    return re.compile(pattern + re.escape(text[at:]))


def _text(frame: bytes) -> str:
    return frame.decode(errors="surrogateescape")


def _shown(frames: list[bytes]) -> str:
    return "\n".join(f"  {number}: {frame.decode(errors='backslashreplace')}" for number, frame in enumerate(frames, 1))
