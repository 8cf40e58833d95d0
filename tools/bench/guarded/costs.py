"""What things cost in processor time, which other work on the machine changes far less than it changes rates."""

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import zmq

from bench.cpu_time import process_ns
from bench.fsynced import append_ms
from bench.generator import drive, zmtp
from bench.servers import line_of, python_process
from bench.spread import median
from bench.start_requests import start_requests
from drivers.peers import socket_to

CLIENTS = 50
MESSAGES = 2_000
ALONE = 200


def cost_us(pid: int, done: int, work: Callable[[], object]) -> float:
    """What each of so many things that `work` has done cost the process."""
    before_ns = process_ns(pid)
    work()
    return (process_ns(pid) - before_ns) / 1000 / done


def ask_alone(endpoint: str, messages: list[bytes]) -> float:
    """One client that waits for each reply; for how many milliseconds, as a rule."""
    took_ms = []
    with socket_to(zmq.REQ, endpoint) as socket:
        for message in messages:
            begun_s = time.perf_counter()
            socket.send(message)
            assert b'"error"' not in socket.recv()
            took_ms.append((time.perf_counter() - begun_s) * 1000)
    return median(took_ms)


def append_us() -> float:
    """What an append to a file and its fsync cost whoever makes them, as a process."""
    before_s = _own_s()
    append_ms(ALONE)
    return (_own_s() - before_s) * 1e6 / ALONE


def _own_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


@dataclass(frozen=True)
class Echo:
    """A raw echo: what the sockets alone cost a process for each message. The unit of whatever has no other."""

    endpoint: str
    pid: int

    def crowd_us(self) -> float:
        """A message of one of fifty clients."""
        messages = start_requests("echo", range(MESSAGES))
        return cost_us(self.pid, MESSAGES, lambda: drive(zmtp(self.endpoint), messages, CLIENTS, 1))

    def alone_us(self) -> float:
        """A message of the only client."""
        messages = start_requests("echo", range(ALONE))
        return cost_us(self.pid, ALONE, lambda: ask_alone(self.endpoint, messages))


@contextmanager
def echo() -> Iterator[Echo]:
    """An echo in a process of its own."""
    with python_process("bench.echo") as process:
        yield Echo(line_of(process), process.pid)
