"""What a campaign of queues writes down, as it happens: the one thing that its judge reads.

Each worker has a file of its own. A note is one write to it, so it is there even if the worker is killed right after.
"""

import os
import time
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct


class Asked(Struct, tag="asked", frozen=True):
    """A worker is about to ask. It asks the same again, from a new socket, until it is told."""

    by: str
    call: int
    at_ms: float
    method: str
    params: dict[str, Any]


class Told(Struct, tag="told", frozen=True):
    """What a worker was told: a result, or the name of an error. Where this is missing, the worker died before."""

    by: str
    call: int
    at_ms: float
    tries: int
    result: dict[str, Any] | None = None
    error: str | None = None


class Planned(Struct, tag="planned", frozen=True):
    """The timers that were started, each of which fires once, and the queue that reads their ends."""

    timer_ids: list[str]
    queue: str
    lease_ms: int
    max_deliveries: int


class ServerUp(Struct, tag="server up", frozen=True):
    """The server before it was killed, and this one launched, which listened in the end."""

    module: str
    killed_ms: float
    launched_ms: float
    listening_ms: float


class Closed(Struct, tag="closed", frozen=True):
    """How the queue stands in the end, and all its dead letters."""

    queue: dict[str, Any]
    dead: list[dict[str, Any]]


Note = Asked | Told | Planned | ServerUp | Closed

SUFFIX = ".notes.jsonl"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Note).decode


class Notebook:
    """A file of notes that only grows."""

    def __init__(self, folder: Path, name: str) -> None:
        self._file = os.open(folder / f"{name}{SUFFIX}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, note: Note) -> None:
        """Adds a note: the system has it when this returns."""
        os.write(self._file, _encode(note) + b"\n")

    def close(self) -> None:
        """Lets go of the file."""
        os.close(self._file)


def read_notes(folder: Path) -> list[Note]:
    """All notes of a campaign, those of each file in order. A line that its writer did not finish is not counted."""
    notes: list[Note] = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        lines = path.read_bytes().split(b"\n")
        notes += map(_decode, lines[:-1])
    return notes


def now_ms() -> float:
    """The wall clock, from which the server's timeline began."""
    return time.time_ns() / 1e6
