"""Durable starts a second from fifty connections, one request a message, each waiting for its reply."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial

from bench.generator import drive, zmtp
from bench.peers.alternative import Alternative, rows_of
from bench.results import Figure, Row, at_least
from bench.run import Run
from bench.servers import check_running, durable_echo, echo, server
from bench.start_requests import start_requests

CLIENTS = 50
AIM_OF_ECHO = 0.8
AIM_OF_REDIS = 1.0
OURS = f"{CLIENTS} clients, one request a message"
ECHO = f"raw echo: {OURS}"
DURABLE_ECHO = f"raw echo that appends and fsyncs first: {OURS}"
FSYNCED = "fsync before the reply"


def start_rate(run: Run) -> Mapping[str, float]:
    """Starts a second."""
    warm_up, how_many = _sizes(run)
    with server() as process:
        drive(zmtp(process.commands), start_requests("warm", range(warm_up)), CLIENTS, 1)
        outcome = drive(zmtp(process.commands), start_requests("order", range(how_many)), CLIENTS, 1)
        check_running(process, warm_up + how_many)
    assert b'"error"' not in outcome.last_reply
    return {OURS: outcome.rate}


def echo_rate(run: Run, name: str, echoing: Callable[[], AbstractContextManager[str]]) -> Mapping[str, float]:
    """Messages a second that the sockets alone carry, or with a disk behind them."""
    warm_up, how_many = _sizes(run)
    with echoing() as endpoint:
        drive(zmtp(endpoint), start_requests("warm", range(warm_up)), CLIENTS, 1)
        outcome = drive(zmtp(endpoint), start_requests("order", range(how_many)), CLIENTS, 1)
    return {name: outcome.rate}


def measure(run: Run, peers: Sequence[Alternative] = ()) -> Figure:
    """The table."""
    echoes = [partial(echo_rate, run, ECHO, echo), partial(echo_rate, run, DURABLE_ECHO, durable_echo)]
    samples = run.interleaved([partial(start_rate, run), *echoes, *(peer.way for peer in peers)])
    ours = Row(OURS, "starts/s", samples[OURS], DURABLE_ECHO, FSYNCED)
    durable = Row(DURABLE_ECHO, "messages/s", samples[DURABLE_ECHO], ECHO, "fsync")
    limit = Row(ECHO, "messages/s", samples[ECHO], durability="none")
    share = ours.median / limit.median
    ours.aims.append(at_least(f"{AIM_OF_ECHO} of the echo ({share:.2f})", share, AIM_OF_ECHO))
    others = rows_of(peers, samples)
    redis = [row.median for row in others if row.name.startswith("Redis, always")]
    if redis:
        ratio = ours.median / max(redis)
        ours.aims.append(at_least(f"{AIM_OF_REDIS} × Redis' best with fsync always ({ratio:.2f})", ratio, AIM_OF_REDIS))
    return Figure("concurrent", "Durable starts, one request a message", [ours, durable, limit, *others])


def _sizes(run: Run) -> tuple[int, int]:
    return run.pick((500, 5_000), (2_000, 40_000))
