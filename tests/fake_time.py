"""Clocks that a test moves by hand."""

import time

from timer_server.loop.clock import Boot, BootNs, Sources, WallNs

NS_PER_S = 1_000_000_000


class FakeTime:
    """A machine's clocks: they run with the real ones, and jump when they are told to."""

    def __init__(self, boot_id: str = "boot-1") -> None:
        self.boot_id = boot_id
        self._boot_jump_ns = 0
        self._wall_jump_ns = 0

    def sources(self) -> Sources:
        """The clocks as the server reads them."""
        return Sources(lambda: Boot(self.boot_id), self.boot_ns, self.wall_ns)

    def boot_ns(self) -> BootNs:
        """Time since the machine started."""
        return BootNs(time.monotonic_ns() + self._boot_jump_ns)

    def wall_ns(self) -> WallNs:
        """The wall clock."""
        return WallNs(time.time_ns() + self._wall_jump_ns)

    def pass_s(self, seconds: float) -> None:
        """Lets time pass on both clocks."""
        self._boot_jump_ns += int(seconds * NS_PER_S)
        self._wall_jump_ns += int(seconds * NS_PER_S)

    def set_wall_clock_by_s(self, seconds: float) -> None:
        """Somebody sets the wall clock; no time passes."""
        self._wall_jump_ns += int(seconds * NS_PER_S)
