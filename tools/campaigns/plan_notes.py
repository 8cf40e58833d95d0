"""What a campaign of plans writes down: what clients asked and were told, and what the log held after each kill.

Its judge reads nothing else. All of it is kept as JSON lines, so that it can be judged again.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

PLAN_HISTORY = "plans.jsonl"


class Asked(Struct, tag="asked", frozen=True):
    """A client is about to ask about a plan of its own. It asks the same again, after each kill, until it is told."""

    by: str
    call: int
    plan: str
    method: str
    params: dict[str, Any]


class Told(Struct, tag="told", frozen=True):
    """What the client was told: a result, or the name of an error."""

    by: str
    call: int
    tries: int
    result: dict[str, Any] | None = None
    error: str | None = None


class Resting(Struct, frozen=True):
    """A plan as the log holds it: what it waits for, and in which state that timer is by the log; None where it is not
    there. `due_ms` is by the wall clock where that decides, `by_wall`."""

    plan: str
    state: str
    pending: str | None
    pending_state: str | None = None
    due_ms: int | None = None
    by_wall: bool = False


class AtRest(Struct, tag="at rest", frozen=True):
    """All plans as the log of a killed server holds them."""

    fault: str
    plans: list[Resting]


class TimerLogged(Struct, tag="timer", frozen=True):
    """An event of a timer of a plan in the log. `due_ms` is by the wall clock where that decides, `by_wall`."""

    place: int
    plan: str
    at_ms: int
    id: str
    kind: str
    due_ms: int | None
    by_wall: bool = False


class PlanSet(Struct, tag="set", frozen=True):
    """What was asked of a plan, in the log. `pace_ms` are its interval, the minute of a cron rule, or its steps."""

    place: int
    plan: str
    version: int
    kind: str
    pace_ms: list[int]
    from_ms: int | None
    count: int | None

    def begins_anew_after(self, before: "PlanSet | None") -> bool:
        """Whether its moments are others than those of the put before."""
        if before is None:
            return True
        return (self.kind, self.pace_ms, self.from_ms) != (before.kind, before.pace_ms, before.from_ms)


class PlanStood(Struct, tag="stood", frozen=True):
    """How far a plan had come, in the log. `skipped` are moments that were told with it: first, last, count, reason."""

    place: int
    plan: str
    state: str
    moment_ms: int
    step: int
    round: int
    pending: str | None
    skipped: tuple[int, int, int, str] | None = None


class PlanGone(Struct, tag="gone", frozen=True):
    """A plan was deleted."""

    place: int
    plan: str


class Closed(Struct, tag="closed", frozen=True):
    """The end: the log's clock and the wall clock before the server was killed for the last time."""

    timeline_ms: int
    wall_ms: int


Logged = TimerLogged | PlanSet | PlanStood | PlanGone
Note = Asked | Told | AtRest | TimerLogged | PlanSet | PlanStood | PlanGone | Closed

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Note).decode


class Notes:
    """Notes in the order in which they came, from any thread."""

    def __init__(self) -> None:
        self.all: list[Note] = []
        self._grown = threading.Condition()

    def add(self, *notes: Note) -> None:
        """Adds notes."""
        with self._grown:
            self.all += notes
            self._grown.notify_all()

    def wait_for_answers(self, more: int, limit_s: float) -> None:
        """Waits until clients were told so many more things. Raises `TimeoutError`."""
        with self._grown:
            begun = len(self.all)
            if not self._grown.wait_for(lambda: self._told_since(begun) >= more, limit_s):
                raise TimeoutError(f"{self._told_since(begun)} of {more} answers came within {limit_s} s")

    def write(self, path: Path) -> None:
        """Writes one note to a line."""
        with path.open("wb") as file:
            file.writelines(_encode(note) + b"\n" for note in self.all)

    def _told_since(self, begun: int) -> int:
        return sum(isinstance(note, Told) for note in self.all[begun:])


def read_plan_notes(path: Path) -> Sequence[Note]:
    """What `Notes.write` has written. Raises `OSError`, `msgspec.DecodeError`."""
    with path.open("rb") as file:
        return [_decode(line) for line in file]
