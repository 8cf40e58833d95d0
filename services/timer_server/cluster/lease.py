"""How long a server may rely on its last acknowledged beat."""


class Lease:
    """The lease that a server's own beats give it.

    It runs from the sending of the last beat that was acknowledged: the others cannot have read that beat earlier, so
    their wait for the next one began later. A tenth of it is left for clocks that run at different rates.
    """

    def __init__(self, lease_ns: int) -> None:
        self._usable_ns = lease_ns * 9 // 10
        self.until_ns = 0
        """Until when nobody can have declared this server dead, by its own boot clock."""

    def acknowledge(self, sent_ns: int) -> None:
        """A beat that was sent then has changed this server's row, and is durable."""
        self.until_ns = sent_ns + self._usable_ns

    def holds(self, now_ns: int) -> bool:
        """Whether nobody can have declared this server dead."""
        return now_ns < self.until_ns
