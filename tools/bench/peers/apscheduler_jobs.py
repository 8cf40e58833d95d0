"""What APScheduler runs. Jobs are kept by the name of this module, so what they share is here too."""

import time
from queue import SimpleQueue

ended: SimpleQueue[tuple[float, float]] = SimpleQueue()
"""When each job ran, and when it was due."""


def end(due_ms: float, _: str) -> None:
    """The job."""
    ended.put((time.time_ns() / 1e6, due_ms))
