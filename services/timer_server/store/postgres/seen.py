"""What the sessions of a server have seen of the primary, so that one that was cut off is told from the newest."""

from typing import NamedTuple

from msgspec import Struct

from timer_server.store.postgres.sentences import Lost, Unfit


class About(NamedTuple):
    """What a session says about PostgreSQL.

    `backend` is the process that serves it. `system` and `timeline` tell one history of the data from another: the
    timeline rises with each promotion.
    """

    backend: int
    version: int
    system: str
    timeline: int
    standbys: str
    is_fsynced: bool


class Seen(Struct):
    """What the newest primary has said of itself that any session of a server has seen: they share this.

    `heard` is the highest timeline that other servers have seen.
    """

    newest: About | None = None
    heard: int = 0

    @property
    def timeline(self) -> int:
        """The highest that this server or another has seen; 0 where none has been."""
        return self.heard if self.newest is None else max(self.newest.timeline, self.heard)

    def hear(self, timeline: int) -> None:
        """Takes down what another server has seen, of the same system."""
        self.heard = max(self.heard, timeline)

    def check(self, about: About) -> None:
        """Takes down what a primary says. Raises `Unfit` for another system, `Lost` for one that was cut off."""
        newest = self.newest
        if newest is not None and about.system != newest.system:
            raise Unfit(
                f"this is another database system ({about.system}) than the one that the server had ({newest.system})"
            )
        if about.timeline < self.timeline:
            raise Lost(
                f"this is an old primary (timeline {about.timeline}), another was promoted (timeline {self.timeline})"
            )
        self.newest = about

    def is_newer_than(self, about: About) -> bool:
        """Whether another primary was promoted since."""
        return about.timeline < self.timeline
