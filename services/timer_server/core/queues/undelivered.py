"""Ends that queues hold and have never delivered: whether any queue has the one at a place."""

from heapq import heapify, heapreplace

from timer_server.core.queues.registry import Registry


class Undelivered:
    """Looks through the ends of all queues side by side, as retention asks about one place after the other.

    Each queue is at the first of its ends that has yet to be asked about, so it is looked at only when that is. One
    that has none waits for whatever is offered after `last_offered`. An earlier place is where it begins anew.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._next: list[tuple[int, str]] = []
        self._asked = 0
        self._is_begun = False
        self.last_offered = 0
        """The place of the last end that was offered to the queues."""

    def begin_anew(self) -> None:
        """Notes that there are other queues, or that one has taken up earlier ends."""
        self._is_begun = False

    def holds(self, place: int) -> bool:
        """Whether a queue has the end at a place among those it has never delivered."""
        if not self._is_begun or place < self._asked:
            self._next = [(0, name) for name in self._registry.names()]
            heapify(self._next)
            self._is_begun = True
        self._asked = place
        while self._next and self._next[0][0] <= place:
            name = self._next[0][1]
            queue = self._registry.get(name)
            following = None if queue is None else queue.state.next_new(place)
            if following == place:
                return True
            heapreplace(self._next, (max(self.last_offered, place) + 1 if following is None else following, name))
        return False
