"""Faults that are planted in a server as the owner of shards: for how long, and what passes with them."""

from collections.abc import Callable

from timer_server.cluster.member import Member
from timer_server.loop import clock
from timer_server.loop.ownership import Ownership
from timer_server.loop.turn import Loop
from timer_server.store.postgres.pipeline import Pipeline
from timer_server.store.postgres.seen import About, Seen

CUT_OFF_AFTER_NS = 500_000_000


def serves_on_while_cut_off() -> None:
    """A server that PostgreSQL does not answer tells what is not durable, also once its lease is over."""
    tell_settled = Loop._tell_settled

    def tell_all(self: Loop, not_before_ns: int = 0) -> None:
        tell_settled(self, not_before_ns)
        since_ns = self._committer.waits_since_ns()  # type: ignore[attr-defined]
        if since_ns is not None and self._clock.now_ns() - since_ns > CUT_OFF_AFTER_NS:
            for turn in self.in_flight:
                answers, turn.answers[:] = [*turn.answers], []
                self._teller.send(answers)

    Loop._tell_settled = tell_all  # type: ignore[method-assign]


def goes_back_to_an_old_primary() -> None:
    """A server takes any primary, whatever timelines it and the others have seen."""

    def take_any(self: Seen, about: About) -> None:
        self.newest = about

    Seen.check = take_any  # type: ignore[method-assign]
    Seen.is_newer_than = lambda _, __: False  # type: ignore[method-assign]


def gives_before_it_has_written() -> None:
    """A server gives a shard away once there is something to write in it, and tells that as if it were written."""
    written = Pipeline._written

    def goes_on_with(self: Ownership, number: int, to: str | None, now_ns: Callable[[], int]) -> None:
        shard = self._shards.numbered(number)
        assert shard is not None
        self.committer.give(number, to, lambda: shard.at(now_ns()))

    def let_go(self: Ownership, number: int) -> None:
        if self._shards.has(number):
            self._shards.remove(number)
            self._metrics.drop(number)

    Pipeline._written = lambda self: self._giving.keys() - written(self)  # type: ignore[method-assign]
    Ownership.give = goes_on_with  # type: ignore[method-assign]
    Ownership.given = let_go  # type: ignore[method-assign]


def takes_a_set_clock_for_time_passed() -> None:
    """A server whose wall clock was set takes shards of others as if so much time had passed in them."""
    sources, ahead_ns = clock.system_sources(), Member._ahead_ns

    def wall_ahead_ns() -> int:
        return sources.wall_ns() - sources.boot_ns()

    begun_ns = wall_ahead_ns()

    def ahead_by_the_wall_clock_ns(self: Member, number: int) -> int:
        return ahead_ns(self, number) + wall_ahead_ns() - begun_ns

    Member._ahead_ns = ahead_by_the_wall_clock_ns  # type: ignore[method-assign]


OWNER_SABOTAGES: dict[str, Callable[[], None]] = {
    sabotage.__name__: sabotage
    for sabotage in (
        serves_on_while_cut_off,
        goes_back_to_an_old_primary,
        gives_before_it_has_written,
        takes_a_set_clock_for_time_passed,
    )
}
