"""What the log promises, checked on the log alone, at nanoseconds: whoever watches it can rely on nothing more."""

from campaigns.invariants_of_order import MAY_FOLLOW
from timer_server.core.model import Timer

NS_PER_MS = 1_000_000
ROUNDING_NS = 2 * NS_PER_MS
"""How much later one stretch of running may make an end: both of its ends are rounded so that no timer is early."""


class _Run:
    """One timer from its start or restart to its end."""

    def __init__(self, event: Timer, moment_ns: int) -> None:
        self.version = event.version
        self.state: str = event.state
        self.since_ns = moment_ns
        self.elapsed_ns = 0
        self.stretches = 1


class Audit:
    """Takes the events in their order, each with the moment it happened. Raises AssertionError."""

    def __init__(self) -> None:
        self.seq = 0
        self._runs: dict[str, _Run] = {}

    def forget(self, timer_ids: set[str]) -> None:
        """These timers are gone: their ids may be started again."""
        for timer_id in timer_ids:
            del self._runs[timer_id]

    def take(self, event: Timer, moment_ns: int) -> None:
        timer = event
        assert event.seq == self.seq + 1, "seq has a gap"
        self.seq = event.seq
        assert 0 <= event.at_ms * NS_PER_MS - moment_ns < NS_PER_MS, "the event's time is not its moment, rounded up"
        run = self._runs.get(timer.id)
        assert event.kind in MAY_FOLLOW[run and run.state], f"{event.kind} after {run and run.state}"
        if run is None or event.kind == "restarted":
            assert timer.version == (run.version + 1 if run else 1)
            self._runs[timer.id] = _Run(event, moment_ns)
            return
        assert timer.version == run.version + 1
        run.version = timer.version
        if run.state == "running":
            run.elapsed_ns += moment_ns - run.since_ns
        run.since_ns = moment_ns
        if event.kind == "resumed":
            run.stretches += 1
        if event.kind == "fired":
            self._check_end(run, event)
        run.state = timer.state

    def _check_end(self, run: _Run, event: Timer) -> None:
        timer = event
        assert timer.due_at_ms is not None
        assert timer.ended_at_ms == event.at_ms
        assert timer.remaining_ms == 0
        assert run.elapsed_ns >= timer.duration_ms * NS_PER_MS, "early"
        found_late_ns = event.at_ms * NS_PER_MS - timer.due_at_ms * NS_PER_MS
        late_ns = run.elapsed_ns - timer.duration_ms * NS_PER_MS
        assert late_ns - found_late_ns <= run.stretches * ROUNDING_NS, "paused time has counted, or time was lost"
