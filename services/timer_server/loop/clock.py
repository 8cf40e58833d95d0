"""The server's timeline: Unix time that never steps.

It starts at the wall clock's time when a store is made, and from then on follows elapsed time: that since boot
(CLOCK_BOOTTIME, which counts suspension too), also across restarts of the process, and that of the wall clock across
reboots. So deadlines hold when somebody sets the clock. The anchor that ties the clocks together is stored.

Containers of one boot may each have a boot clock of their own: a time namespace moves CLOCK_BOOTTIME by an offset
(time_namespaces(7)). So the anchor knows the offset as well.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple, NewType, cast

from timer_protocol.durations import NS_PER_MS
from timer_server.core.effects import OFFSET_NOTED_MS
from timer_server.store.base import Anchor

WallNs = NewType("WallNs", int)
"""Unix time in nanoseconds; may step."""

BootNs = NewType("BootNs", int)
"""Nanoseconds since the operating system started, by the clock of this time namespace; never steps."""

_NS_PER_S = 1_000_000_000

_SLEEP_OVERSHOOT_NS = 100_000
"""How much too long a sleep may be: 50 µs of Linux's timer slack, and waking up."""

BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""The clock for `BootNs`. Outside Linux the monotonic one comes nearest."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE = Path("/proc/self/ns/time")
_NAMESPACE_OF_OFFSETS = Path("/proc/self/ns/time_for_children")
_OFFSETS = Path("/proc/self/timens_offsets")


class Boot(NamedTuple):
    """Which boot clock is read: the run of the operating system, and the offset of this time namespace.

    Without the offset, the boot clock tells the same time in every namespace. It is None where it cannot be told.
    """

    id: str
    offset_ns: int | None = 0


class Sources(NamedTuple):
    """The clocks that the server reads; tests pass their own. `boot` may change where a process is moved (CRIU)."""

    boot: Callable[[], Boot]
    boot_ns: Callable[[], BootNs]
    wall_ns: Callable[[], WallNs]


def system_sources() -> Sources:
    """The operating system's clocks. Where there is no boot id, a restart counts as a reboot."""
    unknown = f"unknown-{time.time_ns()}"
    # No function of ours around it: it is called after every message.
    boot_ns = cast("Callable[[], BootNs]", partial(time.clock_gettime_ns, BOOT_CLOCK))
    return Sources(lambda: _read_boot(unknown), boot_ns, lambda: WallNs(time.time_ns()))


class Clock:
    """Reads the timeline. `anchor` is the stored one, None in a new store; `not_before_ns` is the last known time."""

    def __init__(self, sources: Sources, anchor: Anchor | None, not_before_ns: int = 0) -> None:
        self._sources = sources
        self._boot_ns = sources.boot_ns
        boot_ns, wall_ns = sources.boot_ns(), sources.wall_ns()
        now_ns = max(_continue(sources.boot(), anchor, boot_ns, wall_ns), not_before_ns)
        self._base_ns = now_ns - boot_ns
        self._noted: Anchor | None = None

    def now_ns(self) -> int:
        """Nanoseconds on the timeline; never less than before."""
        return self._base_ns + self._boot_ns()

    def ahead_ns(self) -> int:
        """By how much the wall clock, read now, is ahead of the timeline."""
        return self._sources.wall_ns() - self.now_ns()

    def wait_until(self, moment_ns: int) -> int:
        """Waits for a near moment and returns the time. It spins at the end, since a sleep would be too long."""
        while (now_ns := self.now_ns()) < moment_ns:
            left_ns = moment_ns - now_ns
            if left_ns > _SLEEP_OVERSHOOT_NS:
                time.sleep((left_ns - _SLEEP_OVERSHOOT_NS) / _NS_PER_S)
        return now_ns

    def new_anchor(self) -> Anchor | None:
        """An anchor to store if the wall clock has been set since the last one, or the process moved; else None."""
        boot, boot_ns, wall_ns = self._sources.boot(), self._sources.boot_ns(), self._sources.wall_ns()
        anchor = Anchor(boot.id, boot_ns, wall_ns, self._base_ns + boot_ns, boot.offset_ns)
        if self._noted is not None and _still_holds(self._noted, anchor):
            return None
        self._noted = anchor
        return anchor


def _continue(boot: Boot, anchor: Anchor | None, boot_ns: BootNs, wall_ns: WallNs) -> int:
    """The time now on the timeline that the anchor belongs to."""
    return wall_ns if anchor is None else anchor.timeline_ns + _elapsed_ns(boot, anchor, boot_ns, wall_ns)


def _elapsed_ns(boot: Boot, anchor: Anchor, boot_ns: BootNs, wall_ns: WallNs) -> int:
    """The time since the anchor.

    Only the very same boot clock is believed whatever the wall clock says. Where the namespace is another one, or not
    known, the two clocks vouch for each other: the lesser advance counts. So a wrong boot clock makes timers late, and
    they are early only if the wall clock was set forward as well.
    """
    by_wall_ns = max(wall_ns - anchor.wall_ns, 0)
    if boot.id != anchor.boot_id:
        return by_wall_ns
    is_same_clock = boot.offset_ns is not None and boot.offset_ns == anchor.boot_offset_ns
    by_boot_ns = boot_ns - (boot.offset_ns or 0) - (anchor.boot_ns - (anchor.boot_offset_ns or 0))
    if by_boot_ns < 0:  # not one run of the system: a virtual machine was set back, or an unknown offset differs
        return by_wall_ns
    return by_boot_ns if is_same_clock else min(by_boot_ns, by_wall_ns)


def _still_holds(noted: Anchor, now: Anchor) -> bool:
    """Whether an anchor is of the same boot clock as one of now, and the wall clock goes along with the timeline."""
    set_by_ns = (now.wall_ns - now.timeline_ns) - (noted.wall_ns - noted.timeline_ns)
    is_same_clock = (noted.boot_id, noted.boot_offset_ns) == (now.boot_id, now.boot_offset_ns)
    return is_same_clock and abs(set_by_ns) < OFFSET_NOTED_MS * NS_PER_MS


def _read_boot(unknown_id: str) -> Boot:
    try:
        boot_id = _BOOT_ID.read_text().strip()
    except OSError:
        return Boot(unknown_id)
    return Boot(boot_id, _read_offset_ns())


def _read_offset_ns() -> int | None:
    """By how much the boot clock of this time namespace is ahead of the machine's; None where that cannot be told."""
    try:
        if _NAMESPACE.readlink() != _NAMESPACE_OF_OFFSETS.readlink():
            return None  # the file is about the namespace of processes that are yet to be made
        lines = _OFFSETS.read_text().splitlines()
    except FileNotFoundError:
        return 0  # a system without time namespaces
    except OSError:
        return None
    offsets = {name: int(seconds) * _NS_PER_S + int(ns) for name, seconds, ns in map(str.split, lines)}
    return offsets.get("boottime")
