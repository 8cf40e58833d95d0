"""What is to be done in shards of other servers, and the lines in which that waits: one for each connection and shard.

Requests of one connection are applied in order within a shard. So a line has requests in flight to one owner in one
epoch at a time; after some came back the others are waited for, and all are sent again in their order.
"""

from abc import ABC, abstractmethod
from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from itertools import takewhile
from math import inf

from timer_protocol.durations import NS_PER_MS
from timer_protocol.errors import ErrorCode, Refusal
from timer_server.limits import KEYS_REMEMBERED
from timer_server.requests.forward_room import ClientMessage
from timer_server.store.membership import Owner

STEPS = 1 << 20
"""Orders that each request has, one for each thing that is to be done for it: more than a dialogue has questions."""

NEVER_SENT = Refusal(ErrorCode.SHUTTING_DOWN, "no server has served its shard in time; send the request again")
SENT = Refusal(ErrorCode.STORAGE_FAILED, "the server of its shard has not answered in time; send the request again")

NOT_KEPT = Refusal(
    ErrorCode.STORAGE_FAILED, "there is no room to keep the result until the others are there; send the request again"
)


class Errand(ABC):
    """Something to be done in some shards, for a message of a client. `order` says which came first.

    `unsent` are the shards whose owners have yet to be asked. `was_sent` says whether any has ever been.
    """

    __slots__ = (
        "after_seq",
        "connection",
        "is_done",
        "is_keyed",
        "is_parted",
        "message",
        "method",
        "numbers",
        "order",
        "unsent",
        "until_ns",
        "was_sent",
    )

    def __init__(self, order: int, message: ClientMessage, method: str, shards: Iterable[int]) -> None:
        self.order = order
        self.message = message
        self.connection = message.connection
        self.method = method
        self.unsent: set[int] = set(shards)
        self.until_ns = 0
        """When nobody waits for it any more."""
        self.is_done = False
        self.is_keyed = False
        """Whether it is done once only since a timer knows its key."""
        self.is_parted = False
        """Whether owners are asked for each of their shards by itself."""
        self.was_sent = False
        self.after_seq: int | None = None
        """The last `seq` of its shard when it began to wait there, where that is known."""
        self.numbers: set[int] = set()
        """Those of its requests that are in flight."""

    def left_ms(self, now_ns: int) -> int:
        """How long somebody waits for it yet."""
        return max(self.until_ns - now_ns, 0) // NS_PER_MS

    @abstractmethod
    def params(self, shards: tuple[tuple[int, int], ...]) -> bytes:
        """What to ask the owner of some shards, as JSON."""

    @abstractmethod
    def tell(self, shards: frozenset[int], outcome: object) -> bool:
        """What came of it in some shards: a result, a `Refusal` or an `RpcError`. Returns whether that was all."""

    @abstractmethod
    def expire(self, refusal: Refusal, now_ns: int) -> None:
        """Its time is up."""


class Line:
    """The errands of one connection for one shard: those in flight to `target`, and those that wait.

    They go in order, also those that have been done and have to be done anew.
    """

    __slots__ = ("is_sorted", "is_stalled", "sent", "target", "waiting")

    def __init__(self) -> None:
        self.waiting: OrderedDict[int, Errand] = OrderedDict()
        self.sent: dict[int, Errand] = {}
        self.target: Owner | None = None
        self.is_sorted = True
        self.is_stalled = False
        """Whether some came back, and all in flight are waited for before anything is sent again."""

    def wait(self, errand: Errand) -> None:
        """Has an errand wait."""
        if self.waiting and next(reversed(self.waiting)) > errand.order:
            self.is_sorted = False
        self.waiting[errand.order] = errand

    def may_go(self, errand: Errand, target: Owner | None) -> bool:
        """Whether an errand may be sent to an owner now, None being this server: no other that waits is before it."""
        if self.is_stalled or (self.sent and (target is None or self.target != target)):
            return False
        if errand.is_keyed and len(self.sent) >= KEYS_REMEMBERED:
            return False  # if more were sent again, a timer might have forgotten the first keys
        self._sort()
        return next(iter(self.waiting)) == errand.order

    def before(self, end: float) -> Iterator[tuple[int, Errand]]:
        """Those that wait, up to an order."""
        self._sort()
        return takewhile(lambda entry: entry[0] < end, self.waiting.items())

    def _sort(self) -> None:
        if not self.is_sorted:
            self.waiting = OrderedDict(sorted(self.waiting.items()))
            self.is_sorted = True


class Lines:
    """All lines in which something waits or is in flight."""

    def __init__(self) -> None:
        self.by_key: dict[tuple[bytes, int], Line] = {}
        """By connection and shard. What a connection asks of a shard for which it has a line stands in that."""
        self._of_shard: dict[int, dict[bytes, Line]] = {}
        """Lines in which something waits, by shard and connection."""
        self.held: dict[bytes, list[int]] = {}
        """By connection, the orders of requests behind which all others wait, until each has done all its steps."""

    def __len__(self) -> int:
        return len(self.by_key)

    def line(self, connection: bytes, shard: int) -> Line:
        """The line of a connection and a shard, which has to be there."""
        return self.by_key[connection, shard]

    def stand(self, errand: Errand, shard: int) -> None:
        """Puts an errand into a line."""
        line = self.by_key.get((errand.connection, shard))
        if line is None:
            line = self.by_key[errand.connection, shard] = Line()
        line.wait(errand)
        self._of_shard.setdefault(shard, {})[errand.connection] = line

    def go(self, errand: Errand, shard: int, target: Owner) -> None:
        """Notes that the first of a line that waits is in flight to an owner."""
        line = self.by_key[errand.connection, shard]
        del line.waiting[errand.order]
        line.target = target
        line.sent[errand.order] = errand
        if not line.waiting:
            self._rests(errand.connection, shard)

    def leave(self, errand: Errand, shard: int) -> dict[int, Errand]:
        """Takes an errand out of a line, and returns those that may be tried now, as nothing is in flight any more."""
        key = errand.connection, shard
        line = self.by_key.get(key)
        if line is None:
            return {}
        was_sent = line.sent.pop(errand.order, None) is not None
        if line.waiting.pop(errand.order, None) is not None and not line.waiting:
            self._rests(*key)
        if line.sent:
            return {}
        return self._end_of_flight(key, line) if was_sent or not line.waiting else {}

    def come_back(self, errand: Errand, shard: int) -> dict[int, Errand]:
        """Has an errand wait again, at its place. Returns those that may be tried now, as with `leave`."""
        key = errand.connection, shard
        line = self.by_key.get(key)
        if line is None:
            self.stand(errand, shard)
            line = self.by_key[key]
        else:
            line.sent.pop(errand.order, None)
            line.wait(errand)
            self._of_shard.setdefault(shard, {})[errand.connection] = line
        line.is_stalled = True
        return {} if line.sent else self._end_of_flight(key, line)

    def hold(self, errand: Errand) -> None:
        """Has all that its connection has asked after an errand wait until that is released."""
        insort(self.held.setdefault(errand.connection, []), errand.order)

    def release(self, errand: Errand) -> dict[int, Errand]:
        """Holds nothing up any more for an errand. Returns what may be tried now: up to the next that holds."""
        orders = self.held.get(errand.connection, [])
        at = bisect_left(orders, errand.order)
        if at == len(orders) or orders[at] != errand.order:
            return {}
        del orders[at]
        if not orders:
            del self.held[errand.connection]
        end = (orders[0] // STEPS + 1) * STEPS if orders else inf
        lines = (of_shard.get(errand.connection) for of_shard in self._of_shard.values())
        return {order: other for line in lines if line is not None for order, other in line.before(end)}

    def is_held(self, errand: Errand) -> bool:
        """Whether an errand has to wait until the steps of an earlier request are done."""
        orders = self.held.get(errand.connection)
        return orders is not None and orders[0] // STEPS < errand.order // STEPS

    def shards(self) -> list[int]:
        """The shards for which something waits."""
        return list(self._of_shard)

    def waiting_for(self, shard: int) -> dict[int, Errand]:
        """All that waits for a shard, by order."""
        lines = self._of_shard.get(shard, {}).values()
        return {order: errand for line in lines for order, errand in line.waiting.items()}

    def _end_of_flight(self, key: tuple[bytes, int], line: Line) -> dict[int, Errand]:
        """A line has nothing in flight any more: what came back stands before what has come since."""
        line.target = None
        if not line.waiting:
            del self.by_key[key]
            return {}
        line.is_stalled = False
        return dict(line.waiting)

    def _rests(self, connection: bytes, shard: int) -> None:
        of_shard = self._of_shard[shard]
        del of_shard[connection]
        if not of_shard:
            del self._of_shard[shard]
