"""Limits that all peers share, and the part of each that one connection, or one key, may have.

Where a part is full, the message that has waited longest there gives way to a new one, if it has waited long enough.
What was given up, or left behind by a peer that has gone, goes in this way: who still waits asks again, and is the
youngest then. Where the whole limit is reached and nobody has waited so long, the largest connection gives way at once
to one that has no more than half as much. So a peer that asks anew all the time keeps nobody out that has little.
"""

from collections import OrderedDict
from typing import Generic, TypeVar

from timer_protocol.durations import NS_PER_MS
from timer_protocol.errors import LimitScope, Refusal, limit_reached
from timer_protocol.plurals import counted
from timer_server.limits import CONNECTION_PERCENT, KEY_PERCENT, PARKED_LEAST_MS


class Claimant:
    """A message that takes something of a limit: of which connection it is, under which key, and since when it waits.

    `key` is None where the server wants no keys. Each connection is a stranger then, and only its own share holds.
    """

    __slots__ = ("connection", "key", "since_ns")

    def __init__(self, connection: bytes, key: str | None, since_ns: int) -> None:
        self.connection = connection
        self.key = key
        self.since_ns = since_ns


C = TypeVar("C", bound=Claimant)


class Part(Generic[C]):
    """What is taken of a limit by one connection, by one key, or by all, and the line of messages that have taken it.

    The message that has waited longest stands first. `name` is the connection's or the key's, None for all.
    """

    __slots__ = ("line", "name", "scope", "taken")

    def __init__(self, scope: LimitScope, name: bytes | str | None) -> None:
        self.scope = scope
        self.name = name
        self.taken = 0
        self.line: OrderedDict[C, None] = OrderedDict()


class SharedLimit(Generic[C]):
    """A limit on what all messages together take, with a share for each connection and each key."""

    def __init__(self, name: str, maximum: int, what: tuple[str, str]) -> None:
        """`what` says of one and of many that they are taken."""
        self._name = name
        self._what = what
        self._maximum: dict[LimitScope, int] = {
            "connection": -(-maximum * CONNECTION_PERCENT // 100),
            "key": -(-maximum * KEY_PERCENT // 100),
            "server": maximum,
        }
        self._all: Part[C] = Part("server", None)
        self._parts: dict[bytes | str, Part[C]] = {}
        """Of connections and keys that have taken something."""
        self._ranks: list[OrderedDict[Part[C], None]] = [OrderedDict() for _ in range(maximum.bit_length() + 1)]
        """Connections by the number of binary digits of what they have taken: those of one rank differ by less than
        a factor of two."""

    @property
    def use(self) -> float:
        """How much of the limit all together have taken: 1 is all of it."""
        return self._all.taken / maximum if (maximum := self._maximum["server"]) else 1.0

    def full_part(self, claimant: C, amount: int) -> Part[C] | None:
        """The part that has no room for so much more of a message; None where there is room in all."""
        for part in self._parts_of(claimant):
            if part.taken + amount > self._maximum[part.scope]:
                return part
        return None

    def refusal(self, part: Part[C]) -> Refusal:
        """The refusal of what a part has no room for."""
        taken = counted(part.taken, *self._what)
        return limit_reached(self._name, self._maximum[part.scope], taken, scope=part.scope, later=True)

    def take_giver(self, full: Part[C], claimant: C, amount: int) -> C | None:
        """The message that has to give way where a part is full, no longer in line then; None where none has to."""
        oldest = next(iter(full.line), None)
        if oldest is not None and claimant.since_ns - oldest.since_ns >= PARKED_LEAST_MS * NS_PER_MS:
            del full.line[oldest]
            return oldest
        if full is self._all and (largest := self._largest_above(claimant, amount)) is not None:
            return largest.line.popitem(last=False)[0]
        return None

    def take(self, claimant: C, amount: int) -> None:
        """Counts what a message takes. Its place in the line is that of the first time."""
        for part in self._parts_of(claimant):
            self._change(part, amount)
            part.line[claimant] = None
            if part.name is not None:
                self._parts[part.name] = part

    def give_back(self, claimant: C, amount: int, is_all: bool) -> None:
        """Counts what a message takes no longer; once that is all of it, it leaves the line."""
        for part in self._parts_of(claimant):
            self._change(part, -amount)
            if is_all:
                part.line.pop(claimant, None)
                if part.name is not None and not part.taken:
                    self._parts.pop(part.name, None)

    def _parts_of(self, claimant: C) -> tuple[Part[C], ...]:
        """The parts that a message takes from, the narrowest first."""
        of_connection = self._parts.get(claimant.connection) or Part("connection", claimant.connection)
        if claimant.key is None:
            return of_connection, self._all
        return of_connection, self._parts.get(claimant.key) or Part("key", claimant.key), self._all

    def _change(self, part: Part[C], amount: int) -> None:
        before, part.taken = part.taken, part.taken + amount
        rank = part.taken.bit_length()
        if part.scope == "connection" and rank != before.bit_length():
            self._ranks[before.bit_length()].pop(part, None)
            if rank:
                self._ranks[rank][part] = None

    def _largest_above(self, claimant: C, amount: int) -> Part[C] | None:
        """A connection of the highest rank that has somebody in line, if that of this message stays below the rank."""
        of_message = self._parts.get(claimant.connection)
        own = amount if of_message is None else of_message.taken + amount
        for rank in range(len(self._ranks) - 1, own.bit_length(), -1):
            for part in self._ranks[rank]:
                if part.line:
                    return part
        return None
