"""beanstalkd with its write-ahead log on disk, and timers in it as delayed jobs."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.peers.daemon import Daemon, daemon
from bench.start_requests import PAYLOAD_JSON

INSERTED = b"INSERTED "
SYNCS_MS = (0, 50)
DURABILITY = {0: "fsync before the reply", 50: "fsync every 50 ms: up to 50 ms can be lost"}
FAR_S = 36_000


def command(port: int, folder: Path, sync_ms: int) -> list[str]:
    """How it is run."""
    return ["beanstalkd", "-l", "127.0.0.1", "-p", str(port), "-b", str(folder), f"-f{sync_ms}"]


@contextmanager
def beanstalkd(sync_ms: int) -> Iterator[Daemon]:
    """A new beanstalkd without jobs."""
    with daemon(lambda port, folder: command(port, folder, sync_ms)) as process:
        yield process


def put(body: bytes, delay_s: int = FAR_S) -> bytes:
    """A delayed job."""
    return b"put 0 %d 60 %d\r\n%s\r\n" % (delay_s, len(body), body)


def puts(prefix: str, numbers: Sequence[int]) -> list[bytes]:
    """Jobs that are far away. A job has no name of the client's, so the timer's id is in the body."""
    return [put(b"%s/%d %s" % (prefix.encode(), number, PAYLOAD_JSON)) for number in numbers]


def check_kept(process: Daemon, expected: int) -> None:
    """Raises where it has not as many jobs as were put."""
    reply = process.ask(b"stats\r\n")
    if b"current-jobs-delayed: %d\n" % expected not in reply:
        raise AssertionError(f"{expected:,} jobs were put, but beanstalkd says {reply[:400]!r}")


def version() -> str:
    """What is installed."""
    shown = subprocess.run(["beanstalkd", "-v"], capture_output=True, text=True, check=True)
    return shown.stdout.split()[-1]
