"""What happened in a campaign, recorded as it happened: the one thing that a checker reads.

All moments are seconds on the monotonic clock of the process that records, which no fault touches. A history is kept
as JSON lines, one entry each, so that it can be checked again.
"""

import itertools
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from timer_protocol.messages import Event, Timer

RESTARTED, CONTINUED = "restarted", "continued"
"""The marks of a server that is back; the fault that ended or stopped it is the mark before."""


class Asked(Struct, tag="asked", frozen=True):
    """A request on its way to the server. `call` is the number of its first try: those of its retries tell by it."""

    number: int
    call: int
    at_s: float
    by: str
    method: str
    params: dict[str, Any]


class Answered(Struct, tag="answered", frozen=True):
    """The reply to the request with this number: a timer, or the name of an error. Without one, none came.

    `tries` is how often a client of the library had sent it by then; all but one may still be on their way.
    """

    number: int
    at_s: float
    timer: Timer | None = None
    error: str | None = None
    tries: int = 1


class Retried(Struct, tag="retried", frozen=True):
    """A client of the library tried again by itself, and said why."""

    by: str
    at_s: float
    reason: str


class Failed(Struct, tag="failed", frozen=True):
    """A client gave up, or something reached its caller that should not."""

    by: str
    at_s: float
    what: str


class Among(Struct, tag="among", frozen=True):
    """Others use the server as well. Only timers whose ids begin with a prefix are recorded; none of theirs do."""

    own_prefix: str


class Watching(Struct, tag="watching", frozen=True):
    """A watcher begins: it wants every event after a `seq`. It may be cut off and resume as often as it likes."""

    watcher: str
    after: int


class Heard(Struct, tag="heard", frozen=True):
    """An event as a watcher was handed it."""

    watcher: str
    at_s: float
    event: Event


class WallSet(Struct, tag="wall_set", frozen=True):
    """The server's wall clock was set: from then on it is ahead of the monotonic clock by `ahead_s`.

    Whoever read it between the two moments may have been shown either time.
    """

    begun_s: float
    done_s: float
    ahead_s: float


class Mark(Struct, tag="mark", frozen=True):
    """A fault. `passed_s` is time that went by for the server alone, as in a simulated reboot."""

    what: str
    at_s: float
    passed_s: float = 0


class Logged(Struct, tag="logged", frozen=True):
    """One event of the log as `events.read` gave it in the end."""

    event: Event


class Listed(Struct, tag="listed", frozen=True):
    """One timer as `timer.list` gave it in the end."""

    timer: Timer


class Closed(Struct, tag="closed", frozen=True):
    """The end, and the clock of each log then, by its id. Without it the history is not whole."""

    at_s: float
    now_ms: dict[str, int]


Entry = Asked | Answered | Retried | Failed | Among | Watching | Heard | WallSet | Mark | Logged | Listed | Closed
E = TypeVar("E", Asked, Answered, Retried, Failed, Among, Watching, Heard, WallSet, Mark, Logged, Listed, Closed)

_decode = msgspec.json.Decoder(Entry).decode
_encode = msgspec.json.Encoder().encode


class History:
    """Entries in the order in which they came, from any thread."""

    def __init__(self, entries: Sequence[Entry] = ()) -> None:
        self.entries: list[Entry] = list(entries)
        self._numbers = itertools.count(1)
        self._grown = threading.Condition()

    def asked(self, by: str, method: str, params: dict[str, Any], call: int | None = None) -> int:
        """Notes a request that is about to be sent, a retry where `call` is given, and returns its number."""
        number = next(self._numbers)
        self._add(Asked(number, number if call is None else call, time.monotonic(), by, method, params))
        return number

    def answered(self, number: int, timer: Timer | None, error: str | None = None, tries: int = 1) -> None:
        """Notes a reply."""
        self._add(Answered(number, time.monotonic(), timer, error, tries))

    def retried(self, by: str, reason: str) -> None:
        """Notes a retry that a client made by itself."""
        self._add(Retried(by, time.monotonic(), reason))

    def failed(self, by: str, what: str) -> None:
        """Notes what a client could not bear."""
        self._add(Failed(by, time.monotonic(), what))

    def among(self, own_prefix: str) -> None:
        """Notes that only some timers are recorded."""
        self._add(Among(own_prefix))

    def watching(self, watcher: str, after: int) -> None:
        """Notes that a watcher begins."""
        self._add(Watching(watcher, after))

    def heard(self, watcher: str, event: Event) -> None:
        """Notes an event that a watcher was handed."""
        self._add(Heard(watcher, time.monotonic(), event))

    def wall_set(self, begun_s: float, ahead_s: float) -> None:
        """Notes that the server's wall clock has just been set, which was begun at a moment."""
        self._add(WallSet(begun_s, time.monotonic(), ahead_s))

    def mark(self, what: str, passed_s: float = 0) -> None:
        """Notes a fault."""
        self._add(Mark(what, time.monotonic(), passed_s))

    def close(self, log: Sequence[Event], timers: Sequence[Timer], now_ms: dict[str, int]) -> None:
        """Notes how everything stands in the end."""
        for event in log:
            self._add(Logged(event))
        for timer in timers:
            self._add(Listed(timer))
        self._add(Closed(time.monotonic(), now_ms))

    def wait_for(self, kind: type[Entry], total: int, limit_s: float) -> None:
        """Waits until there are so many entries of a kind. Raises `TimeoutError`."""
        end_s = time.monotonic() + limit_s
        seen = count = 0
        with self._grown:
            while True:
                count += sum(isinstance(entry, kind) for entry in self.entries[seen:])
                seen = len(self.entries)
                if count >= total:
                    return
                if not self._grown.wait(max(end_s - time.monotonic(), 0)):
                    raise TimeoutError(f"{count} of {total} entries of {kind.__name__} came within {limit_s} s")

    def all_of(self, kind: type[E]) -> list[E]:
        """The entries of one kind, in their order."""
        return [entry for entry in self.entries if isinstance(entry, kind)]

    def write(self, path: Path) -> None:
        """Writes one entry to a line."""
        with path.open("wb") as file:
            file.writelines(_encode(entry) + b"\n" for entry in self.entries)

    @staticmethod
    def read(path: Path) -> "History":
        """What `write` has written. Raises `OSError`, `msgspec.DecodeError`."""
        with path.open("rb") as file:
            return History([_decode(line) for line in file])

    def _add(self, entry: Entry) -> None:
        with self._grown:
            self.entries.append(entry)
            self._grown.notify_all()
