"""`python -m campaigns.clocked_server`: the server with clocks that a campaign sets, without any privilege.

The file named by `CLOCK_FILE` says how. The wall clock looks at it whenever it is read, as a real one can be set at
any time; a machine's run and the time since it began are fixed as the process starts. The wall clock goes by the
machine's monotonic clock, so whoever sets it knows what it shows.
"""

import os
import sys
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from timer_server.__main__ import main
from timer_server.loop import clock
from timer_server.loop.clock import Boot, BootNs, Sources, WallNs, system_sources

CLOCK_FILE = "CLOCK_FILE"
NS_PER_S = 1_000_000_000


class Setting(Struct):
    """How far the wall clock is ahead of the monotonic clock, and how the others differ from the machine's.

    `boot` 0 is the machine's own run of the system.
    """

    wall_ahead_s: float
    boot: int = 0
    boot_ahead_s: float = 0


def as_the_machine() -> Setting:
    """The clocks as those of the machine are now."""
    return Setting(time.time() - time.monotonic())


def write(path: Path, setting: Setting) -> None:
    """Sets the clocks: the file is replaced as a whole, so nobody reads half of it."""
    draft = path.with_suffix(".draft")
    draft.write_bytes(msgspec.json.encode(setting))
    draft.replace(path)


def read(path: Path) -> Setting:
    """What was set."""
    return msgspec.json.decode(path.read_bytes(), type=Setting)


def set_sources(path: Path) -> Sources:
    """The clocks as the file says."""
    machine = system_sources()
    started = read(path)
    boot_ahead_ns = round(started.boot_ahead_s * NS_PER_S)
    return Sources(
        lambda: Boot(f"{machine.boot().id}-{started.boot}"),
        lambda: BootNs(machine.boot_ns() + boot_ahead_ns),
        lambda: WallNs(time.monotonic_ns() + round(read(path).wall_ahead_s * NS_PER_S)),
    )


def take_the_place_of_the_machine() -> None:
    """From now on this process goes by the clocks that are set."""
    clock.system_sources = lambda: set_sources(Path(os.environ[CLOCK_FILE]))


if __name__ == "__main__":
    take_the_place_of_the_machine()
    sys.exit(main())
