"""What hostile peers aim at: a real server process, and an honest client beside them whom it must not fail."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from random import Random
from typing import Any

import zmq

from drivers.peers import Requester, request, socket_to
from drivers.raw_zmtp import RawPeer, raw_peer
from drivers.server_process import ServerProcess
from timer_client import Settings, TimerClient

HONEST_LIMIT_S = 5.0
"""The longest an honest client may have to wait for its answer, whatever others do: generous, as machines differ."""

PATIENCE_S = 60
"""The longest that what an attacker asked for may take until it is through."""

_EVENT_TRIES = 20
_EVENT_TRY_MS = 250


@dataclass(frozen=True)
class Target:
    """A server under attack. What is entered into `held` stays until the honest client has been asked."""

    commands: str
    events: str
    dice: Random
    held: ExitStack

    def peer(self, socket_type: bytes = b"DEALER", **metadata: bytes) -> RawPeer:
        """A raw peer of the commands socket that has shaken hands."""
        return self.held.enter_context(raw_peer(self.commands)).shake_hands(socket_type, **metadata)

    def subscriber(self, socket_type: bytes = b"SUB") -> RawPeer:
        """A raw peer of the events socket that has shaken hands."""
        return self.held.enter_context(raw_peer(self.events)).shake_hands(socket_type)

    def stranger(self, endpoint: str) -> RawPeer:
        """A TCP connection on which nothing has been said."""
        return self.held.enter_context(raw_peer(endpoint))


Attack = Callable[[Target], None]
"""Does something that is no honest peer's way. Raises AssertionError where the server's answer to it is wrong."""


class Honest:
    """A client that starts timers and listens to what becomes of them."""

    def __init__(self, server: ServerProcess, stack: ExitStack) -> None:
        limit_ms = int(HONEST_LIMIT_S * 1000)
        self._rpc = Requester(stack.enter_context(socket_to(zmq.REQ, server.commands, rcvtimeo=limit_ms)))
        settings = Settings(server=server.commands, events=server.events, retry_deadline_s=HONEST_LIMIT_S)
        self._client = stack.enter_context(TimerClient(settings=settings))
        self._sub = stack.enter_context(socket_to(zmq.SUB, server.events, rcvhwm=0))
        self._sub.subscribe(b"honest/")
        self._number = 0

    def ask(self) -> float:
        """Starts a timer, and returns how many seconds the answer took."""
        self._number += 1
        begun = time.perf_counter()
        timer = self._rpc.call("timer.start", id=f"honest/{self._number}", hours=1)
        took_s = time.perf_counter() - begun
        assert timer["state"] == "running"
        return took_s

    def listen(self) -> bool:
        """Whether events arrive. Where all subscribers were cut off, the first ones are missed."""
        for _ in range(_EVENT_TRIES):
            self.ask()
            wanted = b"honest/%d started" % self._number
            while self._sub.poll(_EVENT_TRY_MS):
                if self._sub.recv_multipart()[0] == wanted:
                    return True
        return False

    def latencies_ms(self, count: int) -> list[float]:
        """The latencies of so many calls of the least costly method, in order of size.

        With the library, as a program would: where a flood has all connections cut, it comes back by itself.
        """
        latencies = []
        for _ in range(count):
            begun = time.perf_counter()
            self._client.info()
            latencies.append((time.perf_counter() - begun) * 1000)
        return sorted(latencies)

    def batch(self, requests: list[dict[str, Any]]) -> None:
        """Requests that all succeed, in one message."""
        assert all("result" in response for response in self._rpc.batch(requests))

    def wait_until_started(self, timer_id: str) -> float:
        """Asks until a timer is there, and returns how many seconds the slowest answer took."""
        worst = 0.0
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            begun = time.perf_counter()
            is_there = "result" in self._rpc.response("timer.get", id=timer_id)
            worst = max(worst, time.perf_counter() - begun)
            if is_there:
                return worst
        raise AssertionError(f"{timer_id} is not there after {PATIENCE_S} s")

    def start(self, prefix: str, count: int, **params: object) -> None:
        """Starts many timers, a thousand a message."""
        for first in range(0, count, 1000):
            numbers = range(first, min(first + 1000, count))
            self.batch([request("timer.start", number, id=f"{prefix}{number}", **params) for number in numbers])


def faults_in_log(server: ServerProcess) -> list[str]:
    """What the log tells of faults of the server itself."""
    return [
        f"the log says: {line.get('exception', line['event'])}"
        for line in server.lines
        if line.get("level") == "error" or "exception" in line or "Traceback" in line["event"]
    ]
