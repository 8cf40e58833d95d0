"""Whether there are shards that no server serves at the moment."""

from timer_server.cluster.outlook import Outlook


class Unserved:
    """The shards that are without a server, and whether to look often for who serves them next.

    Requests for them wait, and so do ends that readers of events have yet to read. That is over soon as a rule; where
    it is not, such as for a log that cannot be read, looking often ends after a lease.
    """

    def __init__(self, lease_ns: int) -> None:
        self._patience_ns = lease_ns
        self._shards: frozenset[tuple[int, int]] = frozenset()
        """Each with its epoch."""
        self._since_ns = 0

    def observe(self, outlook: Outlook, now_ns: int) -> None:
        """Takes in a view."""
        served = {
            (row.incarnation, moment.number, moment.epoch) for row in outlook.others() for moment in row.told.moments
        }
        shards = frozenset(
            (row.number, row.epoch)
            for row in outlook.shards.values()
            if row.owner != outlook.me and (row.owner, row.number, row.epoch) not in served
        )
        if shards - self._shards:
            self._since_ns = now_ns
        self._shards = shards

    def is_looked_for(self, now_ns: int) -> bool:
        """Whether some have been without a server for a short time only."""
        return bool(self._shards) and now_ns - self._since_ns < self._patience_ns
