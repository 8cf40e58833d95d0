"""The highest timeline of PostgreSQL that servers have seen: they tell each other, so that none serves a primary that
was cut off."""

from collections.abc import Callable

from timer_server.requests.between_servers import PeerTimeline, packed
from timer_server.store.postgres.seen import Seen


class TimelineNews:
    """Tells each server that has joined, then and whenever it has risen."""

    def __init__(self, seen: Seen, reply: Callable[[str, bytes], bool]) -> None:
        """`reply` sends a message to a server that asks, by its incarnation, and says whether that could be."""
        self._seen = seen
        self._reply = reply
        self._told: dict[str, int] = {}
        """What each server was told."""

    def joined(self, server: str) -> None:
        """There is a connection over which a server has been told nothing."""
        self._told[server] = 0

    def left(self, server: str) -> None:
        """There is none any more."""
        self._told.pop(server, None)

    def hear(self, timeline: int) -> None:
        """Takes in what another server has seen: sessions on a lower timeline are lost."""
        self._seen.hear(timeline)

    def step(self) -> None:
        """Tells what has not been told."""
        timeline = self._seen.timeline
        for server, told in self._told.items():
            if told < timeline and self._reply(server, packed(PeerTimeline(timeline))):
                self._told[server] = timeline
