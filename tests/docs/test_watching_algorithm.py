"""PROTOCOL.md, section 10, followed step by step against a server: nothing is missed, nothing comes twice."""

import json
import random
from typing import Any

import zmq

from drivers.peers import Requester, requester, socket_to
from fake_time import FakeTime
from local_server import LocalServer
from timer_protocol.limits import Limits


class Watcher:
    """Section 10, step by step, on a SUB that loses half of what comes."""

    def __init__(self, rpc: Requester, cursor: dict[str, int] | None = None) -> None:
        self.cursor = cursor or {}
        self.handled: list[dict[str, Any]] = []
        self.listed: list[str] = []
        self._rpc = rpc
        self._chance = random.Random(42)  # noqa: S311 - the same losses every time

    def read(self) -> None:
        """Steps 3 to 8."""
        lost = False
        while True:
            page = self._rpc.call("events.read", after=self.cursor, prefix="a/", limit=2)
            lost |= page["truncated"]
            self.handled += page["events"]
            self.cursor = page["next"]
            if not page["more"]:
                break
        if lost:
            self.listed = [timer["id"] for timer in self._rpc.call("timer.list", prefix="a/")["timers"]]

    def listen(self, socket: zmq.Socket[bytes], limit_ms: int) -> bool:
        """Steps 9 to 16, until nothing comes; True if there was a beat."""
        was_beat = False
        while socket.poll(limit_ms):
            topic, body = socket.recv_multipart()
            if self._chance.random() < 0.5:
                continue
            message = json.loads(body)
            if topic == b"~beat":
                was_beat = True
                if any(standing["seq"] != self.cursor.get(log) for log, standing in message["logs"].items()):
                    self.read()
            elif not topic.startswith(b"~"):
                self._hear(message)
        return was_beat

    def _hear(self, event: dict[str, Any]) -> None:
        """Steps 13 to 15."""
        log, seq, seen = event["log"], event["seq"], self.cursor.get(event["log"])
        if seen is not None and seq <= seen:
            return
        if seen is not None and seq == seen + 1:
            self.handled.append(event)
            self.cursor[log] = seq
        else:
            self.read()


def test_the_algorithm_misses_nothing_and_shows_nothing_twice() -> None:
    chance = random.Random(7)  # noqa: S311 - the same changes every time
    time = FakeTime()
    with LocalServer(sources=time.sources()) as server, requester(server.commands) as rpc:
        watcher = Watcher(rpc)
        for _ in range(3):
            _change_something(rpc, chance)  # between two connections, when nobody listens
            with socket_to(zmq.SUB, server.events) as socket:
                socket.subscribe(b"a/")
                socket.subscribe(b"~beat")
                for _ in range(15):
                    _change_something(rpc, chance)
                    watcher.listen(socket, limit_ms=2)
                while not watcher.listen(socket, limit_ms=10):
                    time.pass_s(1)
                    rpc.call("server.info")  # wakes the loop: it looks at the clock, and a beat is due
            logged = rpc.call("events.read", after={}, prefix="a/", limit=1000)
            assert watcher.handled == logged["events"]
            assert watcher.cursor == logged["next"]
        assert len(watcher.handled) > 40
        assert watcher.listed == []


def test_the_algorithm_finds_out_about_another_store_and_an_older_copy(rpc: Requester) -> None:
    rpc.call("timer.start", id="a/1", minutes=1)
    end = rpc.call("server.info")["cursor"]
    (log,) = end
    for cursor in ({"another": 99}, {log: 99}):
        watcher = Watcher(rpc, cursor)
        watcher.read()
        assert (watcher.cursor, watcher.handled, watcher.listed) == (end, [], ["a/1"])


def test_the_algorithm_takes_what_retention_has_left() -> None:
    with LocalServer(limits=Limits(max_timers=2)) as server, requester(server.commands) as rpc:
        rpc.call("timer.start", id="a/kept", hours=1)
        for number in range(9):
            rpc.call("timer.start", id=f"a/{number}", hours=1)
            rpc.call("timer.cancel", id=f"a/{number}")
        while rpc.call("server.info")["counts"]["cancelled"] > 2:
            pass
        watcher = Watcher(rpc)
        watcher.read()
        assert [event["kind"] for event in watcher.handled[-3:]] == ["cancelled", "started", "cancelled"]
        assert ([*watcher.cursor.values()], watcher.listed) == ([19], ["a/7", "a/8", "a/kept"])


def _change_something(rpc: Requester, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 4)):
        timer_id = f"{chance.choice('ab')}/{chance.randint(1, 5)}"
        rpc.response("timer.start", id=timer_id, hours=1)
        rpc.response(chance.choice(["timer.pause", "timer.resume", "timer.restart"]), id=timer_id)
