"""`python -m campaigns.sabotaged_queues`: the server with a fault planted in its queues, which the judge has to find.

`SABOTAGE` names the fault.
"""

import os
import sys
from collections.abc import Callable, Sequence
from itertools import count

from msgspec.structs import replace

from timer_server.__main__ import main
from timer_server.core.queues.leases import Takes
from timer_server.core.queues.queue import Queue, Settled

LOST_OF = 10


def forgets_leases() -> None:
    """After a start every lease has run out."""

    def forget(self: Queue, _: int) -> None:
        self.state.leases.load([replace(delivery, at_ms=1) for delivery in self.state.leases])

    Queue.server_started = forget  # type: ignore[method-assign]


def loses_acknowledgements() -> None:
    """One of so many is answered, and not made."""
    ack, asked = Queue.ack, count()

    def lose(self: Queue, numbers: Sequence[int], now_ns: int) -> Settled:
        return Settled(list(numbers), []) if next(asked) % LOST_OF == 0 else ack(self, numbers, now_ns)

    Queue.ack = lose  # type: ignore[method-assign]


def forgets_takes() -> None:
    """A repeated take gets others."""
    Takes.remember = lambda *_: None  # type: ignore[method-assign]


SABOTAGES: dict[str, Callable[[], None]] = {
    sabotage.__name__: sabotage for sabotage in (forgets_leases, loses_acknowledgements, forgets_takes)
}

if __name__ == "__main__":
    SABOTAGES[os.environ["SABOTAGE"]]()
    sys.exit(main())
