"""A clock that stands until it is moved."""

from timer_server.loop.clock import Boot, BootNs, Sources, WallNs


class StandingClock:
    """The clocks that a server reads. Time passes only by `move_to`, and the wall clock may be set beside it."""

    def __init__(self, wall_ns: int) -> None:
        self.now_ns = wall_ns
        """The server's timeline: what has passed, from the moment at which the clock began to stand."""
        self.ahead_ns = 0
        """By how much the wall clock was set forward since."""

    def sources(self) -> Sources:
        """The same for the server."""
        return Sources(lambda: Boot("test"), lambda: BootNs(self.now_ns), lambda: WallNs(self.now_ns + self.ahead_ns))

    def move_to(self, moment_ns: int) -> None:
        """Lets time pass up to a moment of the timeline; it never goes back."""
        self.now_ns = max(self.now_ns, moment_ns)
