"""What one thing costs where many timers are pending, against few. All servers run at once and take turns."""

import json
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

import zmq

from bench.cpu_time import process_ns
from bench.results import Curve, Figure, Row, at_most
from bench.run import Run, say
from bench.servers import server
from bench.spread import median
from bench.start_requests import batched, start_requests
from drivers.peers import request, socket_to
from drivers.server_process import ServerProcess

SIZES = (1_000, 10_000, 100_000, 1_000_000)
BATCH = 100
BATCHES = 5
PAGE = 100
PAGES = 5
FIRST_AFTER, AFTERS, STRIDE = 100_000, 700_000, 319_993
"""Pages begin all over the ids, and each has a hundred to show."""

HERD_DUE_S = 0.15
ROUNDS = 15
AIM = 1.3
AIM_OF_A_PAGE = 1.2
UNITS = {
    "start": "µs a start, in batches of 100",
    "cancel": "µs a cancel, in batches of 100",
    "list": "µs a page of 100",
    "fire": "µs of the server's CPU an end",
}


@dataclass
class Held:
    """A server with so many timers pending, and what its rounds took."""

    pending: int
    process: ServerProcess
    socket: "zmq.Socket[bytes]"
    took_us: dict[str, list[float]] = field(default_factory=dict)
    rounds: int = 0

    def ask(self, message: bytes) -> bytes:
        """One exchange, which has to succeed."""
        self.socket.send(message)
        reply = self.socket.recv()
        assert b'"error"' not in reply, reply[:300]
        return reply

    def note(self, name: str, took_us: float) -> None:
        """Keeps what a round took."""
        self.took_us.setdefault(name, []).append(took_us)


def start_and_cancel(held: Held) -> None:
    """Starts some, and cancels them again, so that as many are pending as before."""
    numbers = range(BATCH * BATCHES)
    prefix = f"round/{held.rounds}"
    starts = batched(start_requests(prefix, numbers), BATCH)
    cancels = batched([_encoded("timer.cancel", number, id=f"{prefix}/{number}") for number in numbers], BATCH)
    for name, messages in (("start", starts), ("cancel", cancels)):
        for message in messages:
            begun_ns = time.perf_counter_ns()
            held.ask(message)
            held.note(name, (time.perf_counter_ns() - begun_ns) / 1000 / BATCH)


def list_pages(held: Held) -> None:
    """Reads pages from anywhere among the ids."""
    for page in range(PAGES):
        after = f"order/{FIRST_AFTER + (held.rounds * PAGES + page) * STRIDE % AFTERS}"
        message = _encoded("timer.list", 1, after=after, limit=PAGE)
        begun_ns = time.perf_counter_ns()
        reply = held.ask(message)
        held.note("list", (time.perf_counter_ns() - begun_ns) / 1000)
        assert reply.count(b'"due_at_ms"') == PAGE


def fire(held: Held) -> None:
    """Lets some end in the same moment, and takes the server's processor time for it."""
    how_many = BATCH * BATCHES
    for message in batched(start_requests(f"fire/{held.rounds}", range(how_many), seconds=HERD_DUE_S), BATCH):
        held.ask(message)
    before_ns = process_ns(held.process.pid)
    time.sleep(2 * HERD_DUE_S)
    held.note("fire", (process_ns(held.process.pid) - before_ns) / 1000 / how_many)


OPERATIONS: tuple[Callable[[Held], None], ...] = (start_and_cancel, list_pages, fire)


def measure(run: Run) -> Figure:
    """The table and the lines of the plot."""
    sizes = run.pick((1_000, 10_000), SIZES)
    took: dict[tuple[str, int], list[float]] = {}
    with ExitStack() as stack:
        held = []
        for size in sizes:
            process = stack.enter_context(server(size))
            held.append(Held(size, process, stack.enter_context(socket_to(zmq.REQ, process.commands))))
        for _ in range(run.repeats):
            for key, value in repetition(held, run.pick(3, ROUNDS)).items():
                took.setdefault(key, []).append(value)
            say(".")
    say("\n")
    return figure_of(took, sizes)


def repetition(servers: list[Held], rounds: int) -> Mapping[tuple[str, int], float]:
    """The medians of some rounds, in which all servers take their turn. A first round warms up."""
    for number in range(rounds + 1):
        for held in servers:
            held.rounds += 1
            for operation in OPERATIONS:
                operation(held)
            if number == 0:
                held.took_us.clear()
    return {(name, held.pending): median(values) for held in servers for name, values in held.took_us.items()}


def figure_of(took: Mapping[tuple[str, int], list[float]], sizes: tuple[int, ...]) -> Figure:
    """Rows for the smallest and the largest, and a line for all sizes."""
    rows, curves = [], []
    smallest, largest = sizes[0], sizes[-1]
    for name, unit in UNITS.items():
        few = Row(f"{name}: {smallest:,} pending", unit, list(took[name, smallest]))
        many = Row(f"{name}: {largest:,} pending", unit, list(took[name, largest]), few.name)
        ratio = many.median / few.median
        aim = AIM_OF_A_PAGE if name == "list" else AIM
        many.aims.append(at_most(f"{aim} × that at {smallest:,} ({ratio:.2f})", ratio, aim))
        rows += [few, many]
        costs = [median(took[name, size]) / median(took[name, smallest]) for size in sizes]
        curves.append(Curve(name, [float(size) for size in sizes], costs))
    return Figure("growth", "Cost with many pending, against few", rows, [NOTE], curves)


NOTE = (
    "One client, one message at a time, so the fsync is in it; pages begin anywhere among the ids. A repetition is"
    f" the median of {ROUNDS} rounds in which all servers take turns. The limit of each row is the one above it."
)


def _encoded(method: str, number: int, **params: object) -> bytes:
    return json.dumps(request(method, number, **params)).encode()
