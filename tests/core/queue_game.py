"""Queues and a worker of one of them, for tests that count, wait and start anew."""

from typing import Any

from core.queue_log import QueueLog
from drivers.builders import BEGIN_NS, NS_PER_MS
from timer_protocol.queue_messages import PutQueueParams
from timer_server.core.queues.queues import Queues

BEGIN_MS = BEGIN_NS // NS_PER_MS
ANY_BYTES = 2**40


class Game:
    """Queues with a log, one queue named q of all ends, and a worker of it."""

    def __init__(self, **asked: Any) -> None:
        self.log = QueueLog()
        self.queues = Queues(lambda: 0.5)
        self.now_ns = BEGIN_NS
        self.put("q", **asked)

    def put(self, name: str, prefix: str = "", **asked: Any) -> None:
        self.log.take_drafts(self.queues)
        self.queues.put(PutQueueParams(name, prefix, **asked), self.log.horizon, self.log.last_place, self.now_ns)

    def end(self, count: int = 1, timer_id: str = "a") -> None:
        for _ in range(count):
            self.log.end(timer_id, "fired", self.now_ns // NS_PER_MS, 10, self.queues)

    def take(self, most: int = 100, key: str | None = None) -> list[int]:
        return [delivery.number for delivery in self.queues.take("q", most, ANY_BYTES, key, self.now_ns)]

    def ack(self, numbers: list[int]) -> tuple[list[int], list[int]]:
        return self.queues.ack("q", numbers, self.now_ns)

    def restart(self) -> None:
        self.log.take_drafts(self.queues)
        self.queues = Queues(lambda: 0.5)
        self.log.read_again(self.queues)
        self.queues.server_started(self.now_ns // NS_PER_MS)

    def step(self) -> None:
        while (due_ns := self.queues.next_due_ns()) is not None and due_ns <= self.now_ns:
            self.queues.step(self.now_ns, 500)
            self.log.take_drafts(self.queues)

    @property
    def state(self) -> Any:
        return self.queues.find("q").state
