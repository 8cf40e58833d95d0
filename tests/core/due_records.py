"""Records of timers with a deadline."""

from drivers.builders import make_timer
from timer_server.core.records import Record, pack


def make_record(timer_id: str, due_at_ms: int | None) -> Record:
    """The record of a timer that has just been started with this deadline."""
    return pack(make_timer(timer_id, due_at_ms=due_at_ms))
