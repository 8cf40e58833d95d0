"""The server's timeline: Unix time that never steps.

It starts at the wall clock's time when a store is made, and from then on follows elapsed time: that since boot
(CLOCK_BOOTTIME, which counts suspension too), also across restarts of the process, and that of the wall clock across
reboots. So deadlines hold when somebody sets the clock. The anchor that ties the clocks together is stored.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple, NewType, cast

from timer_protocol.durations import NS_PER_MS
from timer_server.store.base import Anchor

WallNs = NewType("WallNs", int)
"""Unix time in nanoseconds; may step."""

BootNs = NewType("BootNs", int)
"""Nanoseconds since the operating system started; never steps."""

OFFSET_NOTED_MS = 50
"""A wall clock that has moved by less against the timeline counts as slewed, not set."""

_NS_PER_S = 1_000_000_000

_SLEEP_OVERSHOOT_NS = 100_000
"""How much too long a sleep may be: 50 µs of Linux's timer slack, and waking up."""

BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""The clock for `BootNs`. Outside Linux the monotonic one comes nearest."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Sources(NamedTuple):
    """The clocks that the server reads; tests pass their own."""

    boot_id: str
    boot_ns: Callable[[], BootNs]
    wall_ns: Callable[[], WallNs]


def system_sources() -> Sources:
    """The operating system's clocks. Where there is no boot id, a restart counts as a reboot."""
    boot_id = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else f"unknown-{time.time_ns()}"
    # No function of ours around it: it is called after every message.
    boot_ns = cast("Callable[[], BootNs]", partial(time.clock_gettime_ns, BOOT_CLOCK))
    return Sources(boot_id, boot_ns, lambda: WallNs(time.time_ns()))


class Clock:
    """Reads the timeline. `anchor` is the stored one, None in a new store; `not_before_ns` is the last known time."""

    def __init__(self, sources: Sources, anchor: Anchor | None, not_before_ns: int = 0) -> None:
        self._sources = sources
        self._boot_ns = sources.boot_ns
        boot_ns, wall_ns = sources.boot_ns(), sources.wall_ns()
        now_ns = max(_continue(sources, anchor, boot_ns, wall_ns), not_before_ns)
        self._base_ns = now_ns - boot_ns
        self._noted_offset_ns: int | None = None

    def now_ns(self) -> int:
        """Nanoseconds on the timeline; never less than before."""
        return self._base_ns + self._boot_ns()

    def wait_until(self, moment_ns: int) -> int:
        """Waits for a near moment and returns the time. It spins at the end, since a sleep would be too long."""
        while (now_ns := self.now_ns()) < moment_ns:
            left_ns = moment_ns - now_ns
            if left_ns > _SLEEP_OVERSHOOT_NS:
                time.sleep((left_ns - _SLEEP_OVERSHOOT_NS) / _NS_PER_S)
        return now_ns

    def new_anchor(self) -> Anchor | None:
        """An anchor to store if the wall clock has been set since the last one, else None."""
        boot_ns, wall_ns = self._sources.boot_ns(), self._sources.wall_ns()
        timeline_ns = self._base_ns + boot_ns
        offset_ns = wall_ns - timeline_ns
        if self._noted_offset_ns is not None and abs(offset_ns - self._noted_offset_ns) < OFFSET_NOTED_MS * NS_PER_MS:
            return None
        self._noted_offset_ns = offset_ns
        return Anchor(self._sources.boot_id, boot_ns, wall_ns, timeline_ns)


def _continue(sources: Sources, anchor: Anchor | None, boot_ns: BootNs, wall_ns: WallNs) -> int:
    """The time now on the timeline that the anchor belongs to."""
    if anchor is None:
        return wall_ns
    if anchor.boot_id == sources.boot_id and boot_ns >= anchor.boot_ns:
        return anchor.timeline_ns + boot_ns - anchor.boot_ns
    return anchor.timeline_ns + max(wall_ns - anchor.wall_ns, 0)
