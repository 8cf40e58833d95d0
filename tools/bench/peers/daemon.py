"""A peer's server in a process of its own on a port of the loopback address, with its data on the same disk as ours."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.servers import disk_folder
from drivers.ports import Ports

START_LIMIT_S = 10
STOP_LIMIT_S = 30


@dataclass(frozen=True)
class Daemon:
    """Where it listens, and its process."""

    port: int
    pid: int

    @property
    def endpoint(self) -> str:
        """As the generator wants it."""
        return f"tcp://127.0.0.1:{self.port}"

    def ask(self, request: bytes) -> bytes:
        """The reply to one request over a connection of its own, as far as it comes in one piece."""
        with socket.create_connection(("127.0.0.1", self.port), START_LIMIT_S) as tcp:
            tcp.sendall(request)
            return tcp.recv(1 << 16)


@contextmanager
def daemon(command: Callable[[int, Path], Sequence[str]]) -> Iterator[Daemon]:
    """Runs a command that is made from a port and a folder, from when it listens to the end of the block."""
    with disk_folder() as folder:
        ports = Ports()
        port = ports.next()
        process = subprocess.Popen(command(port, folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait_for(port, process)
            yield Daemon(port, process.pid)
        finally:
            process.terminate()
            try:
                process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
