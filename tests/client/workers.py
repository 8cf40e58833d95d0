"""What tests of workers share: a queue, its ends, and what it holds."""

from client.fake_server import LOG, timer
from drivers.both_clients import quick
from drivers.server_process import ServerProcess
from local_server import LocalServer
from timer_client import Settings, TimerClient
from timer_protocol.messages import Event
from timer_protocol.queue_messages import Delivery, Queue

SHORTEST_LEASE_MS = 1000

QUEUE = Queue(
    queue="q",
    version=1,
    prefix="",
    states=("fired",),
    lease_ms=30_000,
    max_deliveries=5,
    backoff_ms=(1000,),
    max_backlog=1,
    max_dead=1,
    max_bytes=1,
    keep_ms=1000,
    ready=0,
    leased=0,
    delayed=0,
    dead=0,
    dropped=0,
    oldest_ready_ms=None,
    filling=False,
)


def delivery_of(number: int) -> Delivery:
    """A delivery whose receipt is a number."""
    return Delivery(str(number), 1, 5, 0, Event(LOG, number, "fired", 0, timer(id=f"t{number}", state="fired")))


def patient(server: LocalServer | ServerProcess) -> Settings:
    """Settings with which a busy machine is waited for."""
    return quick(server.commands, server.events, timeout_s=5, retry_deadline_s=20)


def end_timers(rest: TimerClient, *ids: str, seconds: float = 0.01) -> None:
    """Starts timers that end soon."""
    assert rest.start_columns(ids, seconds).started == len(ids)


def queue_counts(rest: TimerClient) -> tuple[int, int, int, int]:
    """Its ends that are ready, leased, delayed and dead."""
    queue = rest.get_queue("q")
    return queue.ready, queue.leased, queue.delayed, queue.dead
