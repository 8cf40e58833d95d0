"""What happens to a queue, as its entries in the log tell it.

A call or a step decides what is to happen, and says so in one of these. `state` applies it, in the same way when it
happens and when the log is read after a restart, so both come to the same. The moments that a change needs are in it,
or are that of its entry: nothing follows from the passing of time. Nor do numbers and counts follow from the ends that
are found: one that was let go later may be gone from the log, while the entries that name it are still there.
"""

from typing import Literal

from msgspec import Struct

from timer_protocol.queue_messages import EndState

Begin = Literal["now", "start"]
"""Whether a queue begins with the ends from now on, or with those that are there when it is made."""


class Settings(Struct, frozen=True, array_like=True):
    """What a put sets and a later one may change. New members go to the end and get a default."""

    prefix: str
    states: tuple[EndState, ...] = ("fired",)
    lease_ms: int = 30_000
    max_deliveries: int = 5
    backoff_ms: tuple[int, ...] = (1_000, 10_000, 60_000)
    max_backlog: int = 100_000
    max_dead: int = 10_000
    max_bytes: int = 2**30
    keep_ms: int = 7 * 86_400_000


class Filling(Struct, frozen=True, array_like=True):
    """What is still to be taken up of the log: ends below a prefix after the place `after`, up to the place `to`."""

    after: int
    to: int
    prefix: str
    states: tuple[EndState, ...]


class Put(Struct, frozen=True, array_like=True, tag=1):
    """The queue was made or changed. `filling` is there if it was made to begin with the ends that were there.

    `made` and `begin` are those of its `Rule` where it was made, and 0 and "now" where it was changed. Logs that are
    older than rules have 0 in both cases; there a queue was made by its first version.
    """

    settings: Settings
    version: int
    filling: Filling | None = None
    made: int = 0
    begin: Begin = "now"

    @property
    def is_making(self) -> bool:
        """Whether the queue was not there before."""
        return self.made > 0 or self.version == 1


class Filled(Struct, frozen=True, array_like=True, tag=2):
    """Ends from before the queue was made were taken up, `skipped` others not; `filling` is what is still to do.

    The ends are columns: places, moments and sizes of payloads.
    """

    ends: tuple[list[int], list[int], list[int]]
    skipped: int
    filling: Filling | None


class Taken(Struct, frozen=True, array_like=True, tag=3):
    """Ready ends, by their places, were leased under rising numbers from `first`."""

    places: list[int]
    first: int
    until_ms: int
    key: str | None


class Acked(Struct, frozen=True, array_like=True, tag=4):
    """Ends are done with. `generation` is where their receipts are remembered."""

    numbers: list[int]
    generation: int


class Nacked(Struct, frozen=True, array_like=True, tag=5):
    """Deliveries were given back. `due_ms` says for each when it is ready again: 0 is at once, -1 never (it is dead).

    `is_attempt` says whether they have used an attempt. Deaths are numbered from `first_death`, one for each delivery.
    """

    numbers: list[int]
    due_ms: list[int]
    is_attempt: bool
    reason: str | None
    generation: int
    first_death: int


class Renewed(Struct, frozen=True, array_like=True, tag=6):
    """Deliveries are leased until another moment."""

    numbers: list[int]
    until_ms: int
    lease_ms: int


class RanOut(Struct, frozen=True, array_like=True, tag=7):
    """Leases ran out. Deliveries that have used their last attempt are dead."""

    numbers: list[int]
    first_death: int


class Expired(Struct, frozen=True, array_like=True, tag=8):
    """Ends that waited too long, or were too many, are dead. Numbers rise from `first`, for those without one."""

    places: list[int]
    first: int
    first_death: int


class Revived(Struct, frozen=True, array_like=True, tag=9):
    """Dead letters are ready again, as if they had never been delivered."""

    numbers: list[int]


class Dropped(Struct, frozen=True, array_like=True, tag=10):
    """Dead letters are gone."""

    numbers: list[int]


class Started(Struct, frozen=True, array_like=True, tag=11):
    """The server has started: leases that are new since its last start are given time."""


Change = Put | Filled | Taken | Acked | Nacked | Renewed | RanOut | Expired | Revived | Dropped | Started
"""Something that happened to a queue."""
