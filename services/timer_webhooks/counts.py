"""What is counted of each endpoint, in plain numbers; `exporter` makes text of them when Prometheus asks."""

from collections import Counter

from timer_protocol.queue_messages import Queue
from timer_webhooks.exchange import Outcome
from timer_webhooks.standing import Standing


class Counts:
    """The counts of one endpoint."""

    def __init__(self) -> None:
        self.outcomes: Counter[Outcome] = Counter()
        """Attempts, by what became of them."""
        self.took_s = 0.0
        """How long they took, all together."""
        self.standing = Standing()
        self.is_working = False
        """Whether ends are taken from the queue."""
        self.queue: Queue | None = None
        """The queue, as it was seen last."""

    def tried(self, outcome: Outcome, took_s: float) -> None:
        """Counts an attempt."""
        self.outcomes[outcome] += 1
        self.took_s += took_s
