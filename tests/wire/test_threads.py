"""ZeroMQ's threads: what goes to subscribers is none of the business of the one that brings replies."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zmq

from drivers.peers import REPLY_LIMIT_MS, socket_to
from timer_server.access.admission import Admission
from timer_server.wire.commands import Commands
from timer_server.wire.endpoints import new_context
from timer_server.wire.events import Events

ENDPOINT = "tcp://127.0.0.1:0"
REQUESTS, EVENTS = "ZMQbg/IO/0", "ZMQbg/IO/1"
MESSAGES = 1_000


def tasks() -> dict[str, Path]:
    return {task.name: task for task in Path("/proc/self/task").iterdir()}


class Threads:
    """The threads of one context, by the names that libzmq gives them."""

    def __init__(self, others: dict[str, Path]) -> None:
        own = [task for number, task in tasks().items() if number not in others]
        until_s = time.monotonic() + REPLY_LIMIT_MS / 1000
        while {REQUESTS, EVENTS} - (by_name := {(task / "comm").read_text().strip(): task for task in own}).keys():
            assert time.monotonic() < until_s, "each thread gives itself its name, when it begins"
        self._by_name = by_name

    @contextmanager
    def mostly(self, busy: str, idle: str) -> Iterator[None]:
        """What is done meanwhile is the work of one of them. The other may be woken up by a heartbeat."""
        busy_ns, idle_ns = self._ran_ns(busy), self._ran_ns(idle)
        yield
        assert self._ran_ns(busy) - busy_ns > 10 * (self._ran_ns(idle) - idle_ns)

    def _ran_ns(self, name: str) -> int:
        """The processor time of a thread."""
        return int((self._by_name[name] / "schedstat").read_text().split()[0])


@pytest.fixture
def place() -> Iterator[tuple[Commands, Events, Admission, Threads]]:
    others = tasks()
    context = new_context()
    try:
        admission = Admission(context, None)
        commands, events = Commands(context, ENDPOINT, 10_000), Events(context, ENDPOINT, admission)
        yield commands, events, admission, Threads(others)
        commands.listener.close()
        events.listener.close()
    finally:
        context.destroy(linger=0)


def test_events_and_replies_go_out_by_threads_of_their_own(
    place: tuple[Commands, Events, Admission, Threads],
) -> None:
    commands, events, admission, by = place
    with socket_to(zmq.SUB, events.endpoint) as sub, socket_to(zmq.DEALER, commands.endpoint) as client:
        sub.subscribe(b"a")
        while not events.socket.poll(5):
            admission.admit(also_subscribers=True)
        client.send(b"hello")
        assert commands.socket.poll(REPLY_LIMIT_MS)
        message = commands.receive()
        assert message is not None
        with by.mostly(EVENTS, idle=REQUESTS):
            for _ in range(MESSAGES):
                events.socket.send(b"a", zmq.DONTWAIT)
                assert sub.recv() == b"a"
        with by.mostly(REQUESTS, idle=EVENTS):
            for _ in range(MESSAGES):
                assert commands.reply([*message.frames])
                assert client.recv() == b"hello"
