"""Durable starts a second from fifty connections, one request a message, each waiting for its reply."""

from collections.abc import Mapping, Sequence
from functools import partial

from bench.generator import drive, zmtp
from bench.peers.alternative import Alternative, rows_of
from bench.results import Figure, Row, at_least
from bench.run import Run
from bench.servers import check_running, echo, server
from bench.start_requests import start_requests

CLIENTS = 50
AIM_OF_ECHO = 0.8
AIM_OF_REDIS = 1.0
OURS = f"{CLIENTS} clients, one request a message"
ECHO = f"raw echo: {OURS}"


def start_rate(run: Run) -> Mapping[str, float]:
    """Starts a second."""
    warm_up, how_many = _sizes(run)
    with server() as process:
        drive(zmtp(process.commands), start_requests("warm", range(warm_up)), CLIENTS, 1)
        outcome = drive(zmtp(process.commands), start_requests("order", range(how_many)), CLIENTS, 1)
        check_running(process, warm_up + how_many)
    assert b'"error"' not in outcome.last_reply
    return {OURS: outcome.rate}


def echo_rate(run: Run) -> Mapping[str, float]:
    """Messages a second that the sockets alone carry."""
    warm_up, how_many = _sizes(run)
    with echo() as endpoint:
        drive(zmtp(endpoint), start_requests("warm", range(warm_up)), CLIENTS, 1)
        outcome = drive(zmtp(endpoint), start_requests("order", range(how_many)), CLIENTS, 1)
    return {ECHO: outcome.rate}


def measure(run: Run, peers: Sequence[Alternative] = ()) -> Figure:
    """The table."""
    samples = run.interleaved([partial(start_rate, run), partial(echo_rate, run), *(peer.way for peer in peers)])
    ours = Row(OURS, "starts/s", samples[OURS], ECHO, "fsync before the reply")
    limit = Row(ECHO, "messages/s", samples[ECHO], durability="none")
    share = ours.median / limit.median
    ours.aims.append(at_least(f"{AIM_OF_ECHO} of the echo ({share:.2f})", share, AIM_OF_ECHO))
    others = rows_of(peers, samples)
    redis = [row.median for row in others if row.name.startswith("Redis, always")]
    if redis:
        ratio = ours.median / max(redis)
        ours.aims.append(at_least(f"{AIM_OF_REDIS} × Redis' best with fsync always ({ratio:.2f})", ratio, AIM_OF_REDIS))
    return Figure("concurrent", "Durable starts, one request a message", [ours, limit, *others])


def _sizes(run: Run) -> tuple[int, int]:
    return run.pick((500, 5_000), (2_000, 40_000))
