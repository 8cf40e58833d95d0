"""A real file system with no space left: the server says so, and all is there after a restart."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import NamedTuple

from campaigns.disk_script import Batch, Told, all_timers
from drivers.server_process import ServerProcess

SMALL, LARGER = "size=600k", "size=64m"

_REFUSED = "1 of 1 requests were answered ['limit_reached']"


class Filled(NamedTuple):
    """How many changes were acknowledged until there was no space, what was lost of them, and what was wrong."""

    acknowledged: int
    lost: list[str]
    wrong: list[str]


class NoMount(Exception):
    """A file system cannot be mounted here."""


def fill(folder: Path) -> Filled:
    """Starts timers on a small file system until there is no space, restarts, and makes it larger. Raises `NoMount`."""
    with small_file_system(folder) as place:
        told = Told()
        with ServerProcess(place) as server:
            said = told.play(server.commands, _starts(), lambda: server.has_ended)
        wrong = [] if said == [_REFUSED] else [f"{said} on a full disk, with {server.lines}"]
        lost: list[str] = []
        for size in (SMALL, LARGER):
            _run("mount", "-o", f"remount,{size}", str(place))
            with ServerProcess(place) as server:
                found = all_timers(server.commands)
            lost += told.lost(found)
            wrong += told.unasked(found)
        return Filled(told.changes, lost, wrong)


@contextmanager
def small_file_system(folder: Path, size: str = SMALL) -> Iterator[Path]:
    """A folder that is a file system of its own, with little room. Raises `NoMount`."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        raise NoMount("not run as root")
    place = folder / "small"
    place.mkdir()
    try:
        _run("mount", "-t", "tmpfs", "-o", size, "tmpfs", str(place))
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoMount(f"mount failed: {error}") from None
    try:
        yield place
    finally:
        _run("umount", "--lazy", str(place))


def _starts() -> Iterator[Batch]:
    for number in count():
        yield [("timer.start", {"id": str(number), "hours": 1 + number % 5, "payload": "x" * 1_000})]


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=10, capture_output=True)
