"""How late a worker gets delayed jobs of beanstalkd, whose delays are whole seconds."""

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from bench.lateness import Latenesses
from bench.listening import PARTS, heard_by
from bench.peers.alternative import Alternative
from bench.peers.beanstalkd_server import INSERTED, beanstalkd, put
from bench.run import Run
from bench.servers import line_of, python_process

SYNC_MS = 0
DURABILITY_OF_END = "none: nothing is written when a delay is over"
JOBS, SPREAD_S = 4_000, 4.0
WHOLE = f"beanstalkd -f{SYNC_MS}, whole seconds from the put"
FRACTIONAL = f"beanstalkd -f{SYNC_MS}, deadlines at any millisecond"

Putter = Callable[[Callable[[float, int], None], int, float], None]


@contextmanager
def putting(port: int) -> Iterator[Callable[[float, int], None]]:
    """Puts a job with its deadline in it, and waits until it is kept."""
    with socket.create_connection(("127.0.0.1", port)) as tcp, tcp.makefile("rb") as replies:
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def put_one(due_ms: float, delay_s: int) -> None:
            tcp.sendall(put(b"%.3f" % due_ms, delay_s))
            assert replies.readline().startswith(INSERTED)

        yield put_one


def whole(put_one: Callable[[float, int], None], how_many: int, spread_s: float) -> None:
    """Each is put just as many seconds ahead as it is to wait: what beanstalkd can express."""
    delay_s = int(spread_s) + 2
    begun = time.perf_counter()
    for number in range(how_many):
        time.sleep(max(0.0, begun + spread_s * number / how_many - time.perf_counter()))
        put_one(time.time_ns() / 1e6 + 1000 * delay_s, delay_s)


def fractional(put_one: Callable[[float, int], None], how_many: int, spread_s: float) -> None:
    """Deadlines as they come, rounded up to whole seconds so that none is early."""
    first_ms = time.time_ns() / 1e6 + 1000 * (spread_s + 2)
    for number in range(how_many):
        due_ms = first_ms + 1000 * spread_s * number / how_many
        put_one(due_ms, -int((time.time_ns() / 1e6 - due_ms) // 1000))


def heard_late(run: Run, heard: Latenesses, name: str, putter: Putter) -> Mapping[str, float]:
    """A repetition with a new server."""
    how_many, spread_s = run.pick((500, 1.0), (JOBS, SPREAD_S))
    with (
        beanstalkd(SYNC_MS) as process,
        python_process("bench.peers.beanstalkd_worker", str(process.port), str(how_many)) as worker,
    ):
        line_of(worker)
        with putting(process.port) as put_one:
            putter(put_one, how_many, spread_s)
        return heard.rows(name, heard_by(worker))


def alternatives(run: Run, heard: Latenesses) -> list[Alternative]:
    """For the figure of lateness."""
    return [
        Alternative(
            {f"{name}: {part}": "ms" for part in PARTS},
            DURABILITY_OF_END,
            partial(heard_late, run, heard, name, putter),
        )
        for name, putter in ((WHOLE, whole), (FRACTIONAL, fractional))
    ]
