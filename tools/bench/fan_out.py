"""What one more subscriber costs the server for each event."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import zmq

from bench.audience import Audience, audience
from bench.cpu_time import main_thread_ns, process_ns
from bench.peers.alternative import Alternative, rows_of
from bench.results import Figure, Row, at_most
from bench.run import Run
from bench.servers import line_of, python_process, server
from bench.spread import median
from drivers.peers import request, socket_to
from drivers.server_process import ServerProcess

SUBSCRIBERS = 1_000
CHANGES = 300
AT_ONCE = 10
PAUSE_S = 0.02
AIM_US, CPU_AIM_US = 1.0, 3.0
TIMER = "fan/out"
TOPIC = f"{TIMER} "
EVENT_BYTES = 334
"""Of an event of the timer on the wire."""

SERIES = "one change after another"
REPLY, MAIN_CPU, CPU = (f"paced changes: {what}" for what in ("reply", "main thread's CPU", "whole process's CPU"))
TOGETHER_CPU = f"{AT_ONCE} changes in one message, paced: whole process's CPU"
PARTS = {
    SERIES: "µs a change",
    REPLY: "µs a change",
    MAIN_CPU: "µs an event",
    CPU: "µs an event",
    TOGETHER_CPU: "µs an event",
}
AIMS_US = {SERIES: AIM_US, REPLY: AIM_US, MAIN_CPU: AIM_US, CPU: CPU_AIM_US, TOGETHER_CPU: CPU_AIM_US}
BARE = "limit: a bare send to each connection"


@contextmanager
def heard_timer() -> Iterator[tuple[ServerProcess, "zmq.Socket[bytes]"]]:
    """A new server with one timer, and a client of it."""
    with server() as process, socket_to(zmq.REQ, process.commands) as socket:
        socket.send_json(request("timer.start", 1, id=TIMER, hours=10))
        socket.recv()
        yield process, socket


@contextmanager
def subscribers(process: ServerProcess, how_many: int) -> Iterator[Audience]:
    """So many subscribers of the one timer, which must have read all of its events in the end."""
    with audience("zmtp", process.events, TOPIC, how_many) as crowd:
        yield crowd
    with socket_to(zmq.REQ, process.commands) as socket:
        socket.send_json(request("timer.get", 1, id=TIMER))
        crowd.check(events=json.loads(socket.recv())["result"]["version"] - 1)


def change_us(socket: "zmq.Socket[bytes]", at_once: int = 1) -> float:
    """How long one change takes, or several in one message."""
    changes = [request("timer.extend", number, id=TIMER, seconds=1) for number in range(at_once)]
    message = json.dumps(changes if at_once > 1 else changes[0]).encode()
    begun = time.perf_counter()
    socket.send(message)
    reply = socket.recv()
    took_s = time.perf_counter() - begun
    assert b'"error"' not in reply
    return took_s * 1e6


def paced_us(
    process: ServerProcess, socket: "zmq.Socket[bytes]", changes: int, at_once: int = 1, pause_s: float = PAUSE_S
) -> tuple[float, float, float]:
    """Of changes with pauses in between: how long the reply took, and for each event the main thread's time and the
    whole process's."""
    replies_us, main_us, whole_us = [], [], []
    for _ in range(changes):
        main_ns, whole_ns = main_thread_ns(process.pid), process_ns(process.pid)
        replies_us.append(change_us(socket, at_once))
        time.sleep(pause_s)
        main_us.append((main_thread_ns(process.pid) - main_ns) / 1000 / at_once)
        whole_us.append((process_ns(process.pid) - whole_ns) / 1000 / at_once)
    return median(replies_us), median(main_us), median(whole_us)


def heard_by(run: Run, how_many: int) -> Mapping[str, float]:
    """A repetition with a new server and so many subscribers."""
    changes = run.pick(30, CHANGES)
    with heard_timer() as (process, socket), subscribers(process, how_many):
        paced_us(process, socket, changes // 10)
        values = paced_us(process, socket, changes)
        _, _, together_us = paced_us(process, socket, changes // 3, AT_ONCE)
        series_us = sum(change_us(socket) for _ in range(changes)) / changes
    parts = zip(PARTS, (series_us, *values, together_us), strict=True)
    return {name_of(part, how_many): value for part, value in parts}


def bare(how_many: int, events: int, pause_s: float = PAUSE_S) -> Mapping[str, float]:
    """A repetition of what the kernel alone takes, in the same pauses."""
    took_us = []
    with python_process("bench.bare_sends", str(how_many), str(EVENT_BYTES)) as process:
        assert process.stdin is not None
        with audience("lines", line_of(process), TOPIC, how_many) as crowd:
            for _ in range(events):
                process.stdin.write("\n")
                process.stdin.flush()
                took_us.append(float(line_of(process)) / how_many)
                time.sleep(pause_s)
        crowd.check(events)
    return {BARE: median(took_us)}


def name_of(part: str, how_many: int) -> str:
    """The row of a part."""
    return f"{part}, {how_many:,} subscriber{'s' if how_many > 1 else ''}"


def measure(run: Run, peers: Sequence[Alternative] = ()) -> Figure:
    """The table."""
    many = run.pick(50, SUBSCRIBERS)
    ways = [partial(heard_by, run, 1), partial(heard_by, run, many), partial(bare, many, run.pick(30, CHANGES))]
    samples = run.interleaved([*ways, *(peer.way for peer in peers)])
    return figure_of(samples, many, rows_of(peers, samples))


def figure_of(samples: Mapping[str, list[float]], many: int, peers: Sequence[Row]) -> Figure:
    """The table of these samples: what a further subscriber costs is that of many less that of one, shared out."""
    rows = []
    for part, unit in PARTS.items():
        few_us, many_us = (samples[name_of(part, how_many)] for how_many in (1, many))
        rows += [Row(name_of(part, 1), unit, few_us), Row(name_of(part, many), unit, many_us)]
        added_us = [(after - before) / (many - 1) for before, after in zip(few_us, many_us, strict=True)]
        further = Row(f"{part}, a further subscriber", "µs", added_us, BARE if part in (CPU, TOGETHER_CPU) else "")
        further.aims.append(at_most(f"{AIMS_US[part]:.0f} µs", further.median, AIMS_US[part]))
        rows.append(further)
    rows.append(Row(BARE, "µs", samples[BARE]))
    return Figure("fan-out", "One event to many subscribers", [*rows, *peers], [NOTE])


NOTE = (
    "One timer is extended again and again. The main thread is the loop; the rest of the process is ZeroMQ's own"
    f" threads, one of which writes to every connection. Paced changes are {1000 * PAUSE_S:.0f} ms apart, so that this"
    " thread and the subscribers, which share the processor, are done with an event before the next; one change after"
    " another has them compete. Of paced changes the median one is shown, of the others the mean. The limit is the"
    f" processor time of a process that does nothing but `send` {EVENT_BYTES} bytes to each connection."
)
