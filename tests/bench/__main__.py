"""`make bench`: one table of figures of a real server process on this machine.

Every figure of speed is followed by its limit from the same run: a raw echo over the same kinds of sockets.
"""

import asyncio
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent.parent.parent / "services")]

import msgspec  # noqa: E402
import zmq  # noqa: E402

from bench.peers import PAYLOAD, rate_one_at_a_time, rate_pipelined, start_requests  # noqa: E402
from memory import resident_bytes  # noqa: E402
from peers import socket_to  # noqa: E402
from server_process import ServerProcess  # noqa: E402
from timer_client import AsyncTimerClient, TimerSpec  # noqa: E402
from timer_protocol.messages import Event  # noqa: E402

REPEATS = 3
BATCH = 100
IN_FLIGHT = 16
LATENESS_TIMERS = 10_000
LATENESS_SPREAD_S = 10
PENDING = 200_000


@contextmanager
def server(pending: int = 0) -> Iterator[ServerProcess]:
    """A server with its store on disk, and with some timers pending."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder, ServerProcess(Path(folder)) as process:
        if pending:
            rate_pipelined(process.commands, batches(start_requests(pending)), 8)
        yield process


@contextmanager
def echo() -> Iterator[str]:
    """The endpoint of a raw echo in a process of its own."""
    command = [sys.executable, str(Path(__file__).parent / "echo.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield process.stdout.readline().strip()
        process.stdin.close()


def batches(requests: list[bytes]) -> list[bytes]:
    """Requests as JSON-RPC batches of a hundred."""
    return [b"[" + b",".join(requests[at : at + BATCH]) + b"]" for at in range(0, len(requests), BATCH)]


def median_of(measure: Callable[[], float]) -> tuple[float, float]:
    """The median of some repeats after one that warms up, and half their spread as a part of it."""
    measure()
    figures = sorted(measure() for _ in range(REPEATS))
    return statistics.median(figures), (figures[-1] - figures[0]) / 2 / statistics.median(figures)


def row(name: str, figure: float, spread: float, limit: float) -> None:
    print(f"{name:58}{figure:>12,.0f}/s  ±{spread:>4.0%}{limit:>14,.0f}/s{figure / limit:>8.2f}")


def client_rate(endpoint: str, timers: int) -> float:
    """Starts a second through the asynchronous client of the library."""

    async def run() -> float:
        async with AsyncTimerClient(server=endpoint) as client:
            begun = time.perf_counter()
            await client.start_many(TimerSpec(hours=1, payload=PAYLOAD) for _ in range(timers))
            return timers / (time.perf_counter() - begun)

    return asyncio.run(run())


def speed(process: ServerProcess, echo_endpoint: str) -> None:
    """Durable starts a second, each way beside what the raw echo does that way."""
    echoed, _ = median_of(lambda: BATCH * rate_pipelined(echo_endpoint, batches(start_requests(50_000)), IN_FLIGHT))
    rate, spread = median_of(
        lambda: BATCH * rate_pipelined(process.commands, batches(start_requests(50_000)), IN_FLIGHT)
    )
    row("starts, batches of 100, 16 in flight, plain socket", rate, spread, echoed)
    rate, spread = median_of(lambda: client_rate(process.commands, 50_000))
    row("starts, batches of 100, one AsyncTimerClient.start_many", rate, spread, echoed)
    for clients, how_many in ((50, 20_000), (1, 3_000)):
        echoed, _ = median_of(partial(one_at_a_time, echo_endpoint, how_many, clients))
        rate, spread = median_of(partial(one_at_a_time, process.commands, how_many, clients))
        row(f"starts, one at a time, {clients} plain client{'s' if clients > 1 else ''}", rate, spread, echoed)


def one_at_a_time(endpoint: str, how_many: int, clients: int) -> float:
    """Starts a second from clients that wait for each reply."""
    return rate_one_at_a_time(endpoint, start_requests(how_many), clients)


def lateness(process: ServerProcess) -> list[float]:
    """How late, in milliseconds, a subscriber hears of the ends of timers that are spread over some seconds."""
    heard: list[float] = []
    decode = msgspec.json.Decoder(Event).decode
    with socket_to(zmq.SUB, process.events, rcvhwm=0) as socket:
        socket.subscribe(b"bench/")
        socket.subscribe(b"~beat")
        while socket.recv_multipart()[0] != b"~beat":
            pass
        rate_pipelined(process.commands, batches(start_requests(LATENESS_TIMERS, 2, LATENESS_SPREAD_S)), 8)
        while len(heard) < LATENESS_TIMERS:
            topic, body = socket.recv_multipart()
            now_ms = time.time_ns() / 1e6
            if topic.endswith(b" fired"):
                due_at_ms = decode(body).timer.due_at_ms
                assert due_at_ms is not None
                heard.append(now_ms - due_at_ms)
    return sorted(heard)


def main() -> None:
    print(
        f"Python {platform.python_version()}, pyzmq {zmq.pyzmq_version()}, libzmq {zmq.zmq_version()}, "
        f"SQLite {sqlite3.sqlite_version}, {platform.machine()}; median of {REPEATS}, half the spread behind it\n"
    )
    print(f"{'durable (synchronous=FULL), 32-byte payload':58}{'':>12}    {'':>5}{'raw echo':>14}{'ratio':>10}")
    with server() as process, echo() as endpoint:
        speed(process, endpoint)
    for pending in (0, PENDING):
        with server(pending) as process:
            late = lateness(process)
        p50, p99 = late[len(late) // 2], late[len(late) * 99 // 100]
        print(
            f"\nlateness at a subscriber, {LATENESS_TIMERS:,} timers over {LATENESS_SPREAD_S} s, {pending:,} pending:"
            f"  p50 {p50:.2f} ms  p99 {p99:.2f} ms  max {late[-1]:.2f} ms",
            end="",
        )
    with server() as process:
        before_bytes = resident_bytes(process.pid)
        rate_pipelined(process.commands, batches(start_requests(PENDING)), 8)
        used_bytes = resident_bytes(process.pid) - before_bytes
        print(f"\nmemory a pending timer, at {PENDING:,}:  {used_bytes / PENDING:.0f} bytes")


if __name__ == "__main__":
    main()
