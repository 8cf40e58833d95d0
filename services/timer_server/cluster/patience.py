"""How long a server waits for others to get ready for the shards that it offers them."""

from collections.abc import Container
from typing import NamedTuple

_MOST_TIMES = 8
"""How many times as long it waits at last as at first."""


class _Tried(NamedTuple):
    """It was waited for a server in vain: how long it is waited for next, and when it may be offered something."""

    waits_ns: int
    rests_until_ns: int


class Patience:
    """A server that was offered a shard and did not get ready rests, so that others may have it.

    Each time it is waited for twice as long, and rests as long as that: so it gets ready too where it is only slow.
    """

    def __init__(self, first_ns: int) -> None:
        self._first_ns = first_ns
        self._tried: dict[str, _Tried] = {}

    def ends(self, receiver: str, since_ns: int, now_ns: int) -> bool:
        """Whether a server has had its time, which has been offered something since a moment."""
        tried = self._tried.get(receiver)
        return now_ns - since_ns >= (self._first_ns if tried is None else tried.waits_ns)

    def was_in_vain(self, receiver: str, now_ns: int) -> None:
        """What was offered to a server is withdrawn."""
        tried = self._tried.get(receiver)
        waited_ns = self._first_ns if tried is None else tried.waits_ns
        waits_ns = min(2 * waited_ns, _MOST_TIMES * self._first_ns)
        self._tried[receiver] = _Tried(waits_ns, now_ns + waits_ns)

    def was_rewarded(self, receiver: str) -> None:
        """A server has got ready."""
        self._tried.pop(receiver, None)

    def resting(self, living: Container[str], now_ns: int) -> set[str]:
        """Those among the living that are offered nothing now."""
        self._tried = {receiver: tried for receiver, tried in self._tried.items() if receiver in living}
        return {receiver for receiver, tried in self._tried.items() if now_ns < tried.rests_until_ns}
