"""Redis with its append-only file on disk, and timers in it: payloads in a hash, due times in a sorted set."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.peers.daemon import Daemon, daemon

START_SCRIPT = "redis.call('HSET', KEYS[2], ARGV[1], ARGV[3]) redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1]) return 1"
"""One timer, atomically: its id, when it is due, its payload."""

TAKE_SCRIPT = (
    "local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 500)"
    " if #ids == 0 then return {} end"
    " local payloads = redis.call('HMGET', KEYS[2], unpack(ids))"
    " local scores = {}"
    " for place, id in ipairs(ids) do scores[place] = redis.call('ZSCORE', KEYS[1], id) end"
    " redis.call('ZREM', KEYS[1], unpack(ids)) redis.call('HDEL', KEYS[2], unpack(ids))"
    " return {ids, scores, payloads}"
)
"""What is due, taken out atomically."""

DUE, PAYLOADS = "due", "payloads"
SYNCS = ("always", "everysec")
DURABILITY = {"always": "fsync before the reply", "everysec": "fsync once a second: up to 1 s can be lost"}


def command(port: int, folder: Path, appendfsync: str) -> list[str]:
    """How it is run. The file is never rewritten meanwhile, which is in its favour."""
    settings = {
        "port": str(port),
        "bind": "127.0.0.1",
        "dir": str(folder),
        "save": "",
        "appendonly": "yes",
        "appendfsync": appendfsync,
        "auto-aof-rewrite-percentage": "0",
        "loglevel": "warning",
    }
    return ["redis-server", *(part for name, value in settings.items() for part in (f"--{name}", value))]


@contextmanager
def redis_server(appendfsync: str) -> Iterator[Daemon]:
    """A new Redis without data."""
    with daemon(lambda port, folder: command(port, folder, appendfsync)) as process:
        yield process


def resp(*arguments: bytes) -> bytes:
    """A command as Redis reads it."""
    return b"*%d\r\n" % len(arguments) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in arguments)


def load_script(process: Daemon, script: str) -> bytes:
    """The name under which Redis keeps a script."""
    reply = process.ask(resp(b"SCRIPT", b"LOAD", script.encode()))
    return reply.split(b"\r\n")[1]


def check_kept(process: Daemon, expected: int) -> None:
    """Raises where Redis has not as many timers as were started."""
    for request in (resp(b"ZCARD", DUE.encode()), resp(b"HLEN", PAYLOADS.encode())):
        reply = process.ask(request)
        if reply != b":%d\r\n" % expected:
            raise AssertionError(f"{expected:,} timers were started in Redis, but it counts {reply!r}")


def version() -> str:
    """What is installed."""
    shown = subprocess.run(["redis-server", "--version"], capture_output=True, text=True, check=True).stdout
    return next(word.removeprefix("v=") for word in shown.split() if word.startswith("v="))
