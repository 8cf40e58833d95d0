"""How some shards stand: their logs, and how much is in them."""

from collections.abc import Sequence

from msgspec import Struct

from timer_protocol.durations import NS_PER_MS
from timer_protocol.messages import LogStanding, StateCounts
from timer_server.requests.shard import Shard, total


class Standing(Struct, frozen=True):
    """The logs of some shards, each with its own time, and what those have together."""

    logs: dict[str, LogStanding]
    counts: StateCounts
    plans: int
    tzdata: str


def standing_of(shards: Sequence[Shard], now_ns: int) -> Standing:
    """How some shards stand."""
    return Standing(
        {shard.log.id: LogStanding(shard.engine.last_seq, shard.at(now_ns) // NS_PER_MS) for shard in shards},
        total([shard.engine.counts() for shard in shards]),
        sum(len(shard.engine.plans) for shard in shards),
        shards[0].engine.plans.civil.release if shards else "",
    )
