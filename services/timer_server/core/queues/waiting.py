"""Deliveries that wait to be handed out again: ready ones, and delayed ones whose time has yet to come."""

from collections.abc import Iterable, Iterator
from heapq import heapify, heappop, heappush

from msgspec.structs import replace

from timer_server.core.queues.deliveries import Delivery

_SLACK = 64


class Waiting:
    """Waiting deliveries by place, and in heaps by what is asked of them.

    One that leaves stays in the heaps until it is met there; where most of a heap has left, it is made anew.
    """

    def __init__(self) -> None:
        self._of: dict[int, Delivery] = {}
        self._places: dict[int, int] = {}
        """The place of each open one, by number."""
        self._ready: list[int] = []
        self._delayed: list[tuple[int, int]] = []
        self._oldest: list[tuple[int, int]] = []
        self.delayed_count = 0
        self.payload_bytes = 0

    def __len__(self) -> int:
        return len(self._of)

    def __iter__(self) -> Iterator[Delivery]:
        return iter(self._of.values())

    @property
    def ready_count(self) -> int:
        """Those that can be taken."""
        return len(self._of) - self.delayed_count

    def load(self, deliveries: Iterable[Delivery]) -> None:
        """Adds many."""
        for delivery in deliveries:
            self.add(delivery)

    def add(self, delivery: Delivery) -> None:
        """Lets a delivery wait: until `at_ms`, or as a ready one if that is 0."""
        place = delivery.place
        self._of[place] = delivery
        self.payload_bytes += delivery.payload_bytes
        if delivery.is_open:
            self._places[delivery.number] = place
        heappush(self._oldest, (delivery.kept_since_ms, place))
        if delivery.at_ms:
            self.delayed_count += 1
            heappush(self._delayed, (delivery.at_ms, place))
        else:
            heappush(self._ready, place)

    def take(self, place: int) -> Delivery | None:
        """Takes out the delivery of the end at a place, if it waits."""
        delivery = self._of.pop(place, None)
        if delivery is None:
            return None
        self.payload_bytes -= delivery.payload_bytes
        self._places.pop(delivery.number, None)
        if delivery.at_ms:
            self.delayed_count -= 1
        self._tidy()
        return delivery

    def opened(self, number: int) -> Delivery | None:
        """The delivery whose latest receipt has this number, if that may still settle it."""
        place = self._places.get(number)
        return None if place is None else self._of[place]

    def wake(self, now_ms: int, most: int) -> int:
        """Makes up to `most` delayed deliveries ready whose time has come, and returns how many."""
        woken = 0
        while woken < most and (due_ms := self.next_due_ms()) is not None and due_ms <= now_ms:
            place = heappop(self._delayed)[1]
            delivery = self._of[place]
            self._of[place] = replace(delivery, at_ms=0)
            self.delayed_count -= 1
            heappush(self._ready, place)
            woken += 1
        return woken

    def next_due_ms(self) -> int | None:
        """When the next delayed one is ready."""
        heap, of = self._delayed, self._of
        while heap:
            at_ms, place = heap[0]
            if place in of and of[place].at_ms == at_ms:
                return at_ms
            heappop(heap)
        return None

    def first_ready(self, most: int) -> list[int]:
        """The first places of ready ones, in order."""
        found: list[int] = []
        heap = self._ready
        while heap and len(found) < most:
            place = heappop(heap)
            if place in self._of and not self._of[place].at_ms and (not found or found[-1] != place):
                found.append(place)
        for place in found:
            heappush(heap, place)
        return found

    def at(self, place: int) -> Delivery:
        """The one of the end at a place, which waits."""
        return self._of[place]

    def oldest(self, most: int) -> list[tuple[int, int]]:
        """Since when the oldest have been kept, and their places: up to `most`, in order."""
        found: list[tuple[int, int]] = []
        heap, of = self._oldest, self._of
        while heap and len(found) < most:
            item = heappop(heap)
            kept_since_ms, place = item
            if place in of and of[place].kept_since_ms == kept_since_ms and (not found or found[-1] != item):
                found.append(item)
        for item in found:
            heappush(heap, item)
        return found

    def _tidy(self) -> None:
        most = 2 * len(self._of) + _SLACK
        if len(self._oldest) > most:
            self._oldest = [(delivery.kept_since_ms, place) for place, delivery in self._of.items()]
            heapify(self._oldest)
        if len(self._ready) > most:
            self._ready = [place for place, delivery in self._of.items() if not delivery.at_ms]
            heapify(self._ready)
        if len(self._delayed) > most:
            self._delayed = [(delivery.at_ms, place) for place, delivery in self._of.items() if delivery.at_ms]
            heapify(self._delayed)
