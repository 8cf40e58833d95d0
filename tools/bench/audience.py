"""Very many subscribers in a process of their own, as the measuring process sees them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec

from bench.servers import line_of, python_process
from bench.subscribers import Heard

SETTLE_S = 1.5


@dataclass
class Audience:
    """Subscribers, and what they have heard once the block that they are there for has ended."""

    how_many: int
    heard: Heard = field(default_factory=lambda: Heard(0, []))

    def check(self, events: int) -> None:
        """Raises AssertionError where not all of them have read so many events."""
        read = self.heard.read
        assert read == events * self.how_many, f"{self.how_many} subscribers have read {read} of {events} events each"


@contextmanager
def audience(language: str, endpoint: str, topic: str, how_many: int) -> Iterator[Audience]:
    """So many subscribers of one topic."""
    with python_process("bench.subscribers", language, endpoint, topic, str(how_many)) as process:
        if line_of(process) != "listening":
            raise RuntimeError("the subscribers did not come to listen")
        time.sleep(SETTLE_S)  # subscriptions are acknowledged by nobody
        told = Audience(how_many)
        yield told
        time.sleep(SETTLE_S)
        assert process.stdin is not None
        process.stdin.close()
        told.heard = msgspec.json.decode(line_of(process), type=Heard)
