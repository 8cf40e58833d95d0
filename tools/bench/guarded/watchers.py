"""An event to many subscribers, against a bare PUB with as many."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import zmq

from bench.fan_out import TOPIC, change_us
from bench.guarded.costs import cost_us
from bench.guarded.ratio import Ratio, Ratios, medians
from bench.servers import line_of, python_process, server
from drivers.peers import request, socket_to

REPETITIONS = 3
SUBSCRIBERS = 500
EVENTS = 20
PAUSE_S = 0.02
LINE = "x" * 200 + "\n"
"""About what an event has."""

FURTHER = Ratio(f"an event of a bare PUB to {SUBSCRIBERS} subscribers against one of ours", 0.2)


@contextmanager
def crowd(endpoint: str) -> Iterator[None]:
    """So many subscribers, in a process of their own."""
    with python_process("bench.subscribers", "zmtp", endpoint, TOPIC, str(SUBSCRIBERS)) as process:
        if line_of(process) != "listening":
            raise RuntimeError("the subscribers did not come to listen")
        yield


def paced(tell: Callable[[], object]) -> None:
    """Some events, each of which is on its way to all before the next."""
    for _ in range(EVENTS):
        tell()
        time.sleep(PAUSE_S)


def measured() -> Ratios:
    """What an event costs both, side by side."""
    with (
        server() as process,
        socket_to(zmq.REQ, process.commands) as socket,
        python_process("bench.publisher", TOPIC) as bare,
    ):
        socket.send_json(request("timer.start", 1, id=TOPIC.strip(), hours=10))
        assert "error" not in json.loads(socket.recv())
        bare_endpoint, told = line_of(bare), bare.stdin
        assert told is not None

        def publish() -> None:
            told.write(LINE)
            told.flush()

        with crowd(process.events), crowd(bare_endpoint):

            def once() -> Ratios:
                bare_us = cost_us(bare.pid, EVENTS, lambda: paced(publish))
                return {FURTHER: bare_us / cost_us(process.pid, EVENTS, lambda: paced(lambda: change_us(socket)))}

            once()  # warms up; subscriptions are acknowledged by nobody
            return medians([once() for _ in range(REPETITIONS)])
