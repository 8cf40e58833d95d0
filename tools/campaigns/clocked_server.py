"""`python -m campaigns.clocked_server`: the server with clocks that a campaign sets, without any privilege.

The file named by `CLOCK_FILE` says how. The wall clock looks at it whenever it is read, as a real one can be set at
any time; a machine's run and the time since it began are fixed as the process starts.
"""

import os
import sys
from pathlib import Path

import msgspec
from msgspec import Struct

from timer_server.__main__ import main
from timer_server.loop import clock
from timer_server.loop.clock import Boot, BootNs, Sources, WallNs, system_sources

NS_PER_S = 1_000_000_000


class Setting(Struct):
    """How the server's clocks differ from the machine's. `boot` 0 is the machine's own run of the system."""

    wall_ahead_s: float = 0
    boot: int = 0
    boot_ahead_s: float = 0


def write(path: Path, setting: Setting) -> None:
    """Sets the clocks: the file is replaced as a whole, so nobody reads half of it."""
    draft = path.with_suffix(".draft")
    draft.write_bytes(msgspec.json.encode(setting))
    draft.replace(path)


def read(path: Path) -> Setting:
    """What was set."""
    return msgspec.json.decode(path.read_bytes(), type=Setting)


def set_sources(path: Path) -> Sources:
    """The machine's clocks, moved as the file says."""
    machine = system_sources()
    started = read(path)
    boot_ahead_ns = round(started.boot_ahead_s * NS_PER_S)
    return Sources(
        lambda: Boot(f"{machine.boot().id}-{started.boot}"),
        lambda: BootNs(machine.boot_ns() + boot_ahead_ns),
        lambda: WallNs(machine.wall_ns() + round(read(path).wall_ahead_s * NS_PER_S)),
    )


if __name__ == "__main__":
    clock.system_sources = lambda: set_sources(Path(os.environ["CLOCK_FILE"]))
    sys.exit(main())
