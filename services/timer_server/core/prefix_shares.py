"""Shares of the timers that may be pending: how many of them may have ids that begin with a prefix."""

from collections.abc import Iterable, Iterator, Mapping

from timer_protocol.errors import Refusal, limit_reached
from timer_protocol.plurals import counted


class Share:
    """How many timers may be pending below a prefix, and how many are. There may be more, where it was lowered.

    `elsewhere` are those in shards of other servers, as these have told last.
    """

    __slots__ = ("elsewhere", "maximum", "pending", "prefix")

    def __init__(self, prefix: str, maximum: int, pending: int) -> None:
        self.prefix = prefix
        self.maximum = maximum
        self.pending = pending
        self.elsewhere = 0


class PrefixShares:
    """The shares by prefix. An id counts in every share whose prefix it begins with.

    To count an id costs a look-up for each length that the prefixes have, however many there are.
    """

    def __init__(self, shares: Iterable[Share]) -> None:
        self._shares = {share.prefix: share for share in shares}
        self._lengths = sorted(set(map(len, self._shares)), reverse=True)

    def __iter__(self) -> Iterator[Share]:
        return iter(self._shares.values())

    def find(self, prefix: str) -> Share | None:
        """The share of a prefix; None where it has none."""
        return self._shares.get(prefix)

    def of(self, timer_id: str) -> Iterator[Share]:
        """The shares in which an id counts, that of the longest prefix first."""
        for length in self._lengths:
            share = self._shares.get(timer_id[:length])
            if share is not None and length <= len(timer_id):  # a shorter id would be found once more
                yield share

    def count(self, timer_id: str, by: int) -> None:
        """Counts a timer that has become pending (1), or is so no longer (-1)."""
        for share in self.of(timer_id):
            share.pending += by

    def check(self, timer_id: str, begun: Mapping[str, int]) -> None:
        """Raises `Refusal` (limit_reached) unless one more timer may be pending in each share of an id.

        `begun` are those to be counted as pending besides, by prefix.
        """
        for share in self.of(timer_id):
            pending = share.pending + share.elsewhere + begun.get(share.prefix, 0)
            if pending >= share.maximum:
                raise _refusal(share, pending)


def _refusal(share: Share, pending: int) -> Refusal:
    what = (
        f"{counted(pending, 'timer is', 'timers are')} pending below {share.prefix!r},"
        f" and max_timers of its key is {share.maximum}"
    )
    return limit_reached("max_timers", share.maximum, what, scope="key", later=True)
