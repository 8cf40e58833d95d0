"""Faults that are planted in a server as one of several, which the campaigns of several servers find."""

import os
from collections.abc import Callable, Iterable

from msgspec.structs import replace

from timer_server.cluster.member import Member
from timer_server.cluster.silence import Silence
from timer_server.cluster.timelines import Timelines
from timer_server.requests.forwards import Forwards
from timer_server.requests.open_requests import Forward
from timer_server.store.membership import ServerRow

AHEAD_NS = 3_000_000_000


def takes_shards_ahead_of_their_time() -> None:
    """The timeline of a shard jumps where another server takes it."""
    ahead_ns = Timelines.ahead_ns

    def too_much_ahead_ns(self: Timelines, number: int) -> int | None:
        known_ns = ahead_ns(self, number)
        return None if known_ns is None else known_ns + AHEAD_NS

    Timelines.ahead_ns = too_much_ahead_ns  # type: ignore[method-assign]


def sends_on_twice_without_keys() -> None:
    """What is sent on comes twice, and nothing is filled in by which the owner could tell."""
    begin, send = Forward.__init__, Forwards.__init__

    def begin_without_key(self: Forward, message: object, shard: int, request: object, ready: object) -> None:
        params = request.call.params  # type: ignore[attr-defined]
        if "key" in params.__struct_fields__:
            request.call.params = replace(params, key=None)  # type: ignore[attr-defined]
        begin(self, message, shard, request, ready)  # type: ignore[arg-type]

    def send_twice(self: Forwards, shards: object, send_once: Callable[[str, bytes], bool]) -> None:
        def twice(incarnation: str, body: bytes) -> bool:
            return send_once(incarnation, body) and send_once(incarnation, body)

        send(self, shards, twice)  # type: ignore[arg-type]

    Forward.__init__ = begin_without_key  # type: ignore[assignment,method-assign]
    Forwards.__init__ = send_twice  # type: ignore[assignment,method-assign]


def dies_when_told_to_end() -> None:
    """A server that is told to end gives nothing to the others."""

    def die(_: Member, __: int) -> None:
        os._exit(1)

    Member.leave = die  # type: ignore[method-assign]


def takes_its_own_sleep_for_silence() -> None:
    """Whoever stood still declares the others dead, as it has heard nothing of them. It tries that again at each beat:
    whom it sees beat meanwhile it cannot declare dead."""
    observe, stood_still = Silence.observe, False

    def observe_wrongly(self: Silence, others: Iterable[ServerRow], sent_ns: int, received_ns: int) -> list[ServerRow]:
        nonlocal stood_still
        rows, before_ns = list(others), self._sent_ns
        silent = observe(self, rows, sent_ns, received_ns)
        stood_still |= before_ns is not None and sent_ns - before_ns > self._longest_gap_ns
        return rows if stood_still else silent

    Silence.observe = observe_wrongly  # type: ignore[method-assign]


MEMBER_SABOTAGES: dict[str, Callable[[], None]] = {
    sabotage.__name__: sabotage
    for sabotage in (
        takes_shards_ahead_of_their_time,
        sends_on_twice_without_keys,
        dies_when_told_to_end,
        takes_its_own_sleep_for_silence,
    )
}
