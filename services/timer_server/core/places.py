"""Places of pending timers: how many there may be in all shards of a server together, and below prefixes with a share.

The shards count in one `Places`, so that the limits hold for all of them without any being asked about the others.
"""

from collections.abc import Mapping
from typing import Protocol

from timer_protocol.errors import Refusal, limit_reached
from timer_protocol.plurals import counted
from timer_server.core.prefix_shares import PrefixShares, Share

NONE_BEGUN: Mapping[str, int] = {}


class Holder(Protocol):
    """A shard that holds timers, as they are counted when it comes or goes."""

    def pending_count(self) -> int:
        """Running and paused timers."""

    def kept_count(self) -> int:
        """Places that its plans keep."""

    def taken_below(self, prefix: str) -> int:
        """Both, of ids that begin so."""

    @property
    def ended_count(self) -> int:
        """Ended timers that are remembered."""


class Places:
    """The places that are taken. A plan that waits for no timer keeps one for its next.

    `pending` are running and paused timers, `kept` the places that plans keep, and `ended` are ended timers that are
    remembered. Holders count these themselves while they change.
    """

    __slots__ = ("_holders", "elsewhere", "ended", "kept", "maximum", "pending", "shares")

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        """Timers that may be pending, and ended ones that are remembered."""
        self.pending = 0
        self.kept = 0
        self.ended = 0
        self.elsewhere = 0
        """Places taken in shards of other servers, as these have told last."""
        self.shares: PrefixShares | None = None
        """What some prefixes may have of the pending timers; None where none is limited."""
        self._holders: list[Holder] = []

    # Who holds them

    def join(self, holder: Holder) -> None:
        """Counts a shard that has come, with what it holds."""
        self._holders.append(holder)
        self._count(holder, 1)

    def leave(self, holder: Holder) -> None:
        """Counts a shard no longer, nor what it holds."""
        self._holders.remove(holder)
        self._count(holder, -1)

    def share_out(self, maxima: Mapping[str, int]) -> None:
        """From now on no more timers than these may be pending below these prefixes. Those that are there stay.

        They are counted where a prefix had no share before.
        """

        def pending(prefix: str) -> int:
            share = None if self.shares is None else self.shares.find(prefix)
            return sum(holder.taken_below(prefix) for holder in self._holders) if share is None else share.pending

        shares = [Share(prefix, maximum, pending(prefix)) for prefix, maximum in maxima.items()]
        self.shares = PrefixShares(shares) if shares else None

    def counted_below(self, timer_id: str) -> list[str]:
        """The prefixes below which a timer with this id counts: those with a share, and "" for all timers."""
        return ["", *(share.prefix for share in self.shares.of(timer_id))] if self.shares is not None else [""]

    # Other servers

    def told(self) -> tuple[tuple[str, int], ...]:
        """How many timers are pending here below each prefix with a share, where any are."""
        return tuple((share.prefix, share.pending) for share in self.shares or () if share.pending)

    def hear(self, elsewhere: int, below: Mapping[str, int]) -> None:
        """Takes in how many places are taken in shards of other servers, and how many below each prefix."""
        self.elsewhere = elsewhere
        for share in self.shares or ():
            share.elsewhere = below.get(share.prefix, 0)

    # One more

    def has_place(self, count: int = 1) -> bool:
        """Whether so many more timers may be pending, beside the places that plans keep."""
        return self.pending + self.kept + self.elsewhere + count <= self.maximum

    def limits(self) -> Mapping[str, float]:
        """How much of each limit is taken, by its name: 1 is all of it. Of prefixes with a share the fullest counts."""
        pending = self.pending + self.kept + self.elsewhere
        shares = () if self.shares is None else self.shares
        return {
            "max_timers": pending / self.maximum,
            "max_timers_of_key": max(
                ((share.pending + share.elsewhere) / share.maximum for share in shares if share.maximum), default=0.0
            ),
            "ended_timers": self.ended / self.maximum,
        }

    def check(self, timer_id: str, begun: Mapping[str, int] = NONE_BEGUN) -> None:
        """Raises `Refusal` (limit_reached) unless one more timer may be pending, also below the prefixes with a share.

        `begun` are those to be counted as pending besides, by prefix; all of them stand under "".
        """
        if self.shares is not None:
            self.shares.check(timer_id, begun)
        pending = self.pending + begun[""] if begun else self.pending
        if pending + self.kept + self.elsewhere >= self.maximum:
            raise self._no_place(pending)

    def forgets_early(self, holder: Holder) -> bool:
        """Whether a shard has to forget ended timers before their time: there are too many, and it has its part of them
        or more."""
        return self.ended > self.maximum and holder.ended_count * len(self._holders) >= self.ended

    def _count(self, holder: Holder, by: int) -> None:
        self.pending += by * holder.pending_count()
        self.kept += by * holder.kept_count()
        self.ended += by * holder.ended_count
        if self.shares is not None:
            for share in self.shares:
                share.pending += by * holder.taken_below(share.prefix)

    def _no_place(self, pending: int) -> Refusal:
        kept = self.kept
        pending += self.elsewhere
        beside = f", {counted(kept, 'place is kept', 'places are kept')} for plans," if kept else ""
        what = f"{counted(pending, 'timer is', 'timers are')} pending{beside} and max_timers allows no more"
        return limit_reached("max_timers", self.maximum, what, later=True)
