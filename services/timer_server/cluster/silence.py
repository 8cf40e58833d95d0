"""For how long other servers have not beaten, as one of them sees it."""

from collections.abc import Iterable

from timer_server.store.membership import ServerRow


class Silence:
    """The silence of others, by this server's boot clock.

    It runs from the reply that first showed a beat to the sending of a later query that still shows it: both bounds are
    inside of the true silence, whatever delays a query or its reply. It counts only across own beats that came in time.
    After one that was slow or failed PostgreSQL may have been away for all, or this machine asleep with another, so
    each gets a whole lease again.
    """

    def __init__(self, lease_ns: int) -> None:
        self._lease_ns = lease_ns
        self._longest_trip_ns = lease_ns // 4
        self._longest_gap_ns = lease_ns // 2
        self._heard: dict[str, tuple[int, int]] = {}
        """The last beat of each that was read, and when the first reply that showed it came."""
        self._sent_ns: int | None = None
        """When the last own beat was sent; None where it failed."""

    def observe(self, others: Iterable[ServerRow], sent_ns: int, received_ns: int) -> list[ServerRow]:
        """Takes in what an own beat has read of the living others, and returns those that were silent for a lease."""
        begins_anew = self._sent_ns is None or (
            sent_ns - self._sent_ns > self._longest_gap_ns or received_ns - sent_ns > self._longest_trip_ns
        )
        before, self._heard, self._sent_ns = self._heard, {}, sent_ns
        silent = []
        for row in others:
            beat, since_ns = before.get(row.incarnation, (None, received_ns))
            if begins_anew or beat != row.beat:
                since_ns = received_ns
            self._heard[row.incarnation] = (row.beat, since_ns)
            if sent_ns - since_ns >= self._lease_ns:
                silent.append(row)
        return silent

    def begin_anew(self) -> None:
        """An own beat has failed: nothing counts that was silent before the next one."""
        self._sent_ns = None

    def next_due_ns(self) -> int | None:
        """The first moment at which a query may show that another was silent for a lease."""
        if not self._heard:
            return None
        return min(since_ns for _, since_ns in self._heard.values()) + self._lease_ns
