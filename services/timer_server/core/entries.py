"""Entries of the log that are no events of timers: what queues and plans do, and starts of the server.

They begin with the same fields as events do: the tag, a deadline (none), the place, and the number of entries up to
this one that are no events. So the `seq` that each of them tells is that of the last event before it.
"""

from enum import IntEnum
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct

Natural = Annotated[int, Meta(ge=0)]


class Part(IntEnum):
    """What an entry of a queue is to the earlier entries of that queue, which are needed until a newer one says it all.

    `CHANGE` adds to them. A snapshot tells all that the queue holds: in one entry (`WHOLE`), or from one that is
    `FIRST` to one that is `LAST`, with changes and further parts between them. Once it is complete, the entries before
    its first are obsolete. `GONE` is the last entry of a queue that was deleted: all are obsolete, and so is this one.
    """

    CHANGE = 0
    FIRST = 1
    LAST = 2
    WHOLE = 3
    GONE = 4


class PlanPart(IntEnum):
    """What an entry of a plan tells. A newer one of the same part makes the one before obsolete.

    `SETTINGS` is what was asked for; `STANDING` how far the plan has come; `SKIPPED` is the same, and tells that
    moments were skipped. `GONE` is the last entry of a plan that was deleted: all are obsolete, and so is this one.
    `SPEC` is needed in another way: it holds a large spec, for as long as timers refer to it.
    """

    SETTINGS = 0
    STANDING = 1
    SKIPPED = 2
    GONE = 3
    SPEC = 4


SHARED = ""
"""Stands for the name of a queue in entries about what all queues share, such as the next number of a lease."""


class OtherEntry(Struct, frozen=True, gc=False, array_like=True):
    """An entry that is no event of a timer. `others` counts the entries up to and including it that are none."""

    due_at_ms: None
    place: Natural
    others: int
    at_ms: Natural

    @property
    def spec_place(self) -> int:
        """The place of the spec that it holds: 0, for it holds none."""
        return 0

    @property
    def seq(self) -> int:
        """The `seq` of the last event before it."""
        return self.place - self.others


class QueueEntry(OtherEntry, frozen=True, gc=False, array_like=True, tag=3):
    """A change of a queue, or a part of its snapshot. Only the queues know what is in the body."""

    queue: str
    part: Part
    body: bytes


class ServerStarted(OtherEntry, frozen=True, gc=False, array_like=True, tag=4):
    """A start of the server, from which queues give their leases time."""


class PlanEntry(OtherEntry, frozen=True, gc=False, array_like=True, tag=5):
    """What was asked of a plan, or how far it has come. Only the plans know what is in the body."""

    plan: str
    part: PlanPart
    body: bytes

    @property
    def spec_place(self) -> int:
        """Its own place, if it holds a spec for others."""
        return self.place if self.part is PlanPart.SPEC else 0


class Draft(NamedTuple):
    """A queue's entry that has no place yet."""

    at_ms: int
    queue: str
    part: Part
    body: bytes
