"""Whether a queue is fit to feed an endpoint."""

from timer_protocol.plurals import counted
from timer_protocol.queue_messages import Queue
from timer_webhooks.config import Endpoint

LEASE_LEAST_MS = 60_000
"""How long a queue has to lease: several times what an exchange may take."""


class UnfitQueue(Exception):
    """A queue is not as an endpoint needs it. The text says how it is, and what puts it right."""


def check_fitness(queue: Queue, endpoint: Endpoint) -> None:
    """Raises `UnfitQueue` unless the queue gives this endpoint its ends, and no end up because attempts failed."""
    if queue.prefix != endpoint.prefix:
        raise UnfitQueue(
            f"queue {queue.queue!r} reads the ends below {queue.prefix!r}, and endpoint {endpoint.name!r} is for those "
            f"below {endpoint.prefix!r}: name another queue, or make the prefixes the same"
        )
    faults = []
    if queue.max_deliveries:
        faults.append(f"gives an end up after {counted(queue.max_deliveries, 'attempt')}")
    if queue.lease_ms < LEASE_LEAST_MS:
        faults.append(f"leases for {queue.lease_ms / 1000:g} s")
    if faults:
        raise UnfitQueue(f"queue {queue.queue!r} {' and '.join(faults)}; webhooks need {put_command(endpoint)}")


def put_command(endpoint: Endpoint) -> str:
    """What the operator types to put the queue of an endpoint."""
    lease_s = LEASE_LEAST_MS // 1000
    return f"`timer queue put {endpoint.queue} --prefix '{endpoint.prefix}' --retries forever --lease {lease_s}s`"
