"""What one more subscriber costs the server for each event."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import zmq

from bench.cpu_time import main_thread_ns, process_ns
from bench.results import Figure, Row, at_most
from bench.run import Run
from bench.servers import line_of, python_process, server
from bench.spread import median
from drivers.peers import request, socket_to
from drivers.server_process import ServerProcess

SUBSCRIBERS = 1_000
CHANGES = 300
PAUSE_S = 0.02
SETTLE_S = 1.5
AIM_US = 1.0
TOPIC = "fan/out "
PARTS = {
    "one change after another": "µs a change",
    "paced changes: reply": "µs a change",
    "paced changes: main thread's CPU": "µs an event",
    "paced changes: whole process's CPU": "µs an event",
}


@contextmanager
def subscribers(process: ServerProcess, how_many: int) -> Iterator[None]:
    """So many subscribers of the one timer, which must have read all of its events in the end."""
    with python_process("bench.subscribers", process.events, TOPIC, str(how_many)) as crowd:
        if line_of(crowd) != "listening":
            raise RuntimeError("the subscribers did not come to listen")
        time.sleep(SETTLE_S)  # subscriptions are acknowledged by nobody
        yield
        time.sleep(SETTLE_S)
        assert crowd.stdin is not None
        crowd.stdin.close()
        read = int(line_of(crowd))
    with socket_to(zmq.REQ, process.commands) as socket:
        socket.send_json(request("timer.get", 1, id=TOPIC.strip()))
        events = json.loads(socket.recv())["result"]["version"] - 1
    assert read == events * how_many, f"{how_many} subscribers have read {read} of {events} events each"


def change_us(socket: "zmq.Socket[bytes]") -> float:
    """How long one change takes."""
    message = json.dumps(request("timer.extend", 1, id=TOPIC.strip(), seconds=1)).encode()
    begun = time.perf_counter()
    socket.send(message)
    reply = socket.recv()
    took_s = time.perf_counter() - begun
    assert b'"error"' not in reply
    return took_s * 1e6


def paced_us(process: ServerProcess, socket: "zmq.Socket[bytes]", changes: int) -> tuple[float, float, float]:
    """Of changes with pauses in between: how long the reply took, the main thread's time and the whole process's."""
    replies_us, main_us, whole_us = [], [], []
    for _ in range(changes):
        main_ns, whole_ns = main_thread_ns(process.pid), process_ns(process.pid)
        replies_us.append(change_us(socket))
        time.sleep(PAUSE_S)
        main_us.append((main_thread_ns(process.pid) - main_ns) / 1000)
        whole_us.append((process_ns(process.pid) - whole_ns) / 1000)
    return median(replies_us), median(main_us), median(whole_us)


def heard_by(run: Run, how_many: int) -> Mapping[str, float]:
    """A repetition with a new server and so many subscribers."""
    changes = run.pick(30, CHANGES)
    with server() as process, socket_to(zmq.REQ, process.commands) as socket:
        socket.send_json(request("timer.start", 1, id=TOPIC.strip(), hours=10))
        socket.recv()
        with subscribers(process, how_many):
            paced_us(process, socket, changes // 10)
            values = paced_us(process, socket, changes)
            series_us = sum(change_us(socket) for _ in range(changes)) / changes
    parts = zip(PARTS, (series_us, *values), strict=True)
    return {name_of(part, how_many): value for part, value in parts}


def name_of(part: str, how_many: int) -> str:
    """The row of a part."""
    return f"{part}, {how_many:,} subscriber{'s' if how_many > 1 else ''}"


def measure(run: Run) -> Figure:
    """The table."""
    many = run.pick(50, SUBSCRIBERS)
    samples = run.interleaved([partial(heard_by, run, how_many) for how_many in (1, many)])
    rows = []
    for part, unit in PARTS.items():
        rows += [Row(name_of(part, how_many), unit, samples[name_of(part, how_many)]) for how_many in (1, many)]
        few_us, many_us = rows[-2].samples, rows[-1].samples
        added_us = [(after - before) / (many - 1) for before, after in zip(few_us, many_us, strict=True)]
        rows.append(Row(f"{part}, a further subscriber", "µs", added_us))
        rows[-1].aims.append(at_most(f"{AIM_US:.0f} µs", rows[-1].median, AIM_US))
    return Figure("fan-out", "One event to many subscribers", rows, [NOTE])


NOTE = (
    "One timer is extended again and again. The main thread is the loop; the rest of the process is ZeroMQ's own"
    f" thread, which writes to every connection. Paced changes are {1000 * PAUSE_S:.0f} ms apart, so that this thread"
    " and the subscribers, which share the processor, are done with an event before the next; one change after"
    " another has them compete. Of paced changes the median one is shown, of the others the mean."
)
