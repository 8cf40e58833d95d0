"""Bytes written to the log for each byte of the requests that a peer sends, where it sends what costs most.

A change can be asked for in 55 bytes, as a notification in a batch. What it costs at most:
- One entry of some 900 bytes: the spec is repeated up to 256 bytes, keys are 64 digests of 8 bytes. A restart may cost
  two, as an end follows. That is 32 times what came in.
- One more block written again, where the timer's last event lies beneath the horizon among those of other timers. A
  block has some 4,000 bytes (`BLOCK_BYTES`), or fewer entries than `BLOCK_ENTRIES` in the same proportion; and whatever
  the order in which its entries go, on average much of it has gone. That is 64 times what came in, with the entry.

On the disk the database grows by no more than twice what is written to it, since pages are filled in part, and has room
beyond that. The write-ahead log has whole pages for each commit, some 8 KiB at least, but begins anew before its end.
"""

import json
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drivers.builders import NS_PER_S
from drivers.desk import Desk, batch
from store.stores import sqlite_store
from timer_server.limits import KEYS_REMEMBERED
from timer_server.store.sqlite.room import LOG_BYTES

_COUNTING = """
    CREATE TEMP TABLE written (bytes INTEGER);
    INSERT INTO written VALUES (0);
    CREATE TEMP TRIGGER inserted AFTER INSERT ON main.blocks
        BEGIN UPDATE written SET bytes = bytes + length(NEW.body); END;
    CREATE TEMP TRIGGER rewritten AFTER UPDATE ON main.blocks
        BEGIN UPDATE written SET bytes = bytes + length(NEW.body); END;
"""

SMALL, BULKY = 12, 4
"""Entries of a block of which the rewriting costs most: as small as can be, and as large. They come to 4,000 bytes."""


class Flood:
    """A server's log, and a peer that floods it. Counts the bytes of both."""

    def __init__(self, path: Path) -> None:
        self._store = sqlite_store(path)
        self._desk = Desk(self._store, retention_s=1)
        self._store._database.executescript(_COUNTING)
        self._path = path
        self._received = self._written_before = 0

    def __enter__(self) -> "Flood":
        return self

    def __exit__(self, *_: object) -> None:
        self._store.close()

    @property
    def factor(self) -> float:
        """Bytes of blocks written for each byte received."""
        return self._written() / self._received

    def check_files(self) -> None:
        """Judges what was written since the beginning by the files that it made."""
        log = self._path.with_name(f"{self._path.name}-wal")
        assert log.stat().st_size == LOG_BYTES
        most_bytes = 2 * (self._written_before + self._written()) + 2**16
        assert self._path.stat().st_size < most_bytes + LOG_BYTES

    def _written(self) -> int:
        written: int = self._store._database.execute("SELECT bytes FROM written").fetchone()[0]
        return written

    def begin(self) -> None:
        """Counts anew."""
        self._received, self._written_before = 0, self._written_before + self._written()
        self._store._database.execute("UPDATE written SET bytes = 0")

    def turn(self, *requests: bytes) -> None:
        """One message, each part of which changes something, and one commit, a moment later."""
        message, before = batch(*requests), self._desk.log.durable_place
        self._received += len(message)
        assert self._desk.send(message) is None
        self._desk.wait(milliseconds=1)
        assert self._desk.log.durable_place >= before + len(requests), "a request had no effect"

    def let_retention_pass(self) -> None:
        """Time goes by until the horizon is at the end of the log."""
        self._desk.now_ns += NS_PER_S
        self._desk.forget(self._desk.now_ns)


def notification(method: str, *params: object, kind: str = "timer") -> bytes:
    form = {"jsonrpc": "2.0", "method": f"{kind}.{method}", "params": params}
    return json.dumps(form, separators=(",", ":"), ensure_ascii=False).encode()


def bulky_timer(name: str, payload_bytes: int = 256, seconds: float = 1e6) -> Iterator[bytes]:
    """Makes a timer whose entries are as large as can be: all keys, and a payload that is still repeated in each."""
    yield notification("start", name, 0, 0, seconds, "", int(payload_bytes * "1"))
    yield from (notification("extend", name, 0, 0, 1, f"{number}") for number in range(KEYS_REMEMBERED))


def changes_of_a_large_payload(flood: Flood) -> None:
    flood.turn(notification("start", "a", 1, 0, 0, "", 65_534 * "x"))
    for _ in range(10):
        flood.turn(*[notification("extend", "a", 1)] * 1000)


def changes_of_a_long_label(flood: Flood) -> None:
    flood.turn(notification("start", "a", 1, 0, 0, 256 * "\U0001f570"))
    for _ in range(10):
        flood.turn(*[notification("extend", "a", 1)] * 1000)


def changes_with_long_keys(flood: Flood) -> None:
    flood.turn(*bulky_timer("a"))
    for turn in range(10):
        keys = (f"{turn}/{number}".ljust(128, "k") for number in range(100))
        flood.turn(*(notification("extend", "a", 0, 0, 1, key) for key in keys))


def pauses_and_resumes(flood: Flood) -> None:
    flood.turn(*bulky_timer("a"))
    for _ in range(10):
        flood.turn(*[notification("pause", "a"), notification("resume", "a")] * 500)


def restarts_and_the_ends_that_follow(flood: Flood) -> None:
    flood.turn(*bulky_timer("a", seconds=0.001))
    flood.begin()
    for _ in range(100):
        flood.turn(notification("restart", "a"))


def put_of_a_large_plan() -> bytes:
    form = {"plan": "p", "every": {"hours": 1}, "payload": 65_534 * "x"}
    return json.dumps({"jsonrpc": "2.0", "method": "plan.put", "params": form}).encode()


def runs_of_a_large_plan(flood: Flood) -> None:
    flood.turn(put_of_a_large_plan())
    for _ in range(10):
        flood.turn(*[notification("run", "p", kind="plan")] * 100)


def skips_of_a_large_plan(flood: Flood) -> None:
    flood.turn(put_of_a_large_plan())
    for _ in range(10):
        flood.turn(*[notification("skip", "p", kind="plan")] * 100)


def changes_of_old_timers_one_in_each_block(flood: Flood) -> None:
    """The last event of each is all that retention has left: a change takes it out of its block. In all blocks what is
    small goes first, so that what is large is written again and again. The changes make one more such block."""
    size = SMALL + BULKY
    names = [f"{number:02x}" for number in range(size**2)]
    blocks = deque(names[begin : begin + size] for begin in range(0, len(names), size))
    for block in blocks:
        for name in block[SMALL:]:
            flood.turn(*bulky_timer(name, payload_bytes=240))
        flood.turn(*(notification("start", name, 9_999) for name in block[:SMALL]))
    paused: set[str] = set()
    for turn in range(6 * size):
        if turn == size:  # from now on all blocks are such
            flood.begin()
        changed = [block[age] for age, block in enumerate(blocks)]
        flood.turn(*(notification("resume" if name in paused else "pause", name) for name in changed))
        flood.let_retention_pass()
        paused ^= set(changed)
        blocks.pop()
        blocks.appendleft(changed)


@pytest.mark.parametrize(
    ("send", "factor"),
    [
        (changes_of_a_large_payload, 1),
        pytest.param(changes_of_a_long_label, 1, marks=pytest.mark.thorough),  # another field, as the payload
        (changes_with_long_keys, 5),
        pytest.param(pauses_and_resumes, 16, marks=pytest.mark.thorough),  # the same entries, fewer bytes than restarts
        (restarts_and_the_ends_that_follow, 32),
        (changes_of_old_timers_one_in_each_block, 64),
        (runs_of_a_large_plan, 4),
        pytest.param(skips_of_a_large_plan, 5, marks=pytest.mark.thorough),  # the same entries as runs
    ],
)
def test_they_stay_below_a_factor(tmp_path: Path, send: Callable[[Flood], None], factor: int) -> None:
    with Flood(tmp_path / "timers.db") as flood:
        send(flood)
        assert factor / 2 < flood.factor < factor
        flood.check_files()
