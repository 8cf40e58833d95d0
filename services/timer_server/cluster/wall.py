"""PostgreSQL's clock between two beats: the wall clock for timers and plans that are bound to one."""


class WallClock:
    """PostgreSQL's clock, as read at the beats and carried on by this server's boot clock.

    A reading was made between the sending of the beat and its reply, so it tells the clock within that time. The
    estimate stays where it is as long as the readings agree with it, and otherwise goes to the earliest that the new
    one allows: so it is behind PostgreSQL's clock by no more than a reply took, and never ahead of it.
    """

    def __init__(self) -> None:
        self.ahead_ns: int | None = None
        """By how much it is ahead of the boot clock; None before the first reading."""

    def observe(self, clock_ns: int, sent_ns: int, received_ns: int) -> None:
        """Takes in a reading that was made between two moments of the boot clock."""
        earliest_ns, latest_ns = clock_ns - received_ns, clock_ns - sent_ns
        if self.ahead_ns is None or not earliest_ns <= self.ahead_ns <= latest_ns:
            self.ahead_ns = earliest_ns
