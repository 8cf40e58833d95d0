"""Control groups with weights, in which programs of a benchmark share the processors as deploy/ lets them share."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USUAL, USUAL_SHARES = 100, 1_024
"""The weight of a group that is given none, as `cpu.weight` and systemd count, and as `cpu.shares` does."""

SERVER, GATEWAY = 400, 25
"""Those of the files in deploy/, which a test compares with these."""

MOUNTED_AT = Path("/sys/fs/cgroup")
_ENTER = 'echo $$ > "$0/cgroup.procs" && exec "$@"'


def shares(weight: int) -> int:
    """A weight as Docker's `cpu_shares` counts it."""
    return weight * USUAL_SHARES // USUAL


@contextmanager
def group(weight: int, mounted_at: Path = MOUNTED_AT, own: str | None = None) -> Iterator[tuple[str, ...]]:
    """A command that runs another in a new group of that weight. Empty where this machine lets nobody make one.

    Whoever runs in it has ended when it is left. `own` is what `/proc/self/cgroup` says.
    """
    made = _made(weight, mounted_at, Path("/proc/self/cgroup").read_text() if own is None else own)
    try:
        yield ("sh", "-c", _ENTER, str(made)) if made else ()
    finally:
        if made:
            made.rmdir()


def _made(weight: int, mounted_at: Path, own: str) -> Path | None:
    parent = _parent(mounted_at, own)
    if parent is None:
        return None
    made = parent / f"bench-{os.getpid()}-{weight}"
    try:
        made.mkdir()
    except OSError:
        return None
    try:
        if _has_been_set(made, weight):
            return made
    except OSError:
        pass
    made.rmdir()
    return None


def _has_been_set(made: Path, weight: int) -> bool:
    for name, value in (("cpu.shares", shares(weight)), ("cpu.weight", weight)):
        if (made / name).exists():
            (made / name).write_text(str(value))
            return True
    return False


def _parent(mounted_at: Path, own: str) -> Path | None:
    """Where a new group has this process as its rival: below its own group, and beside that in version 2, in which only
    the root has processes and groups."""
    for line in own.splitlines():
        number, controllers, path = line.split(":", 2)
        if "cpu" in controllers.split(","):
            return mounted_at / "cpu" / path.lstrip("/")
        if number == "0" and (mounted_at / "cgroup.controllers").exists():
            return mounted_at / Path(path).parent.relative_to("/")
    return None
