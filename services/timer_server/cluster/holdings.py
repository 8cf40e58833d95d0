"""The shards that a server owns, and how far it is with each."""

from enum import Enum, auto

from msgspec import Struct

from timer_server.store.membership import Moment


class Stage(Enum):
    """How far a server is with a shard that it owns."""

    LOADING = auto()
    SERVED = auto()
    GIVING = auto()
    REFUSED = auto()


class Holding(Struct):
    """A shard that this server owns. `gained_ns` is when it learned that, and its timeline is `ahead_ns` ahead of its
    boot clock."""

    number: int
    epoch: int
    last_place: int
    ahead_ns: int
    gained_ns: int
    stage: Stage = Stage.LOADING


class Holdings(dict[int, Holding]):
    """The shards that a server owns, by number."""

    def in_stage(self, stage: Stage) -> list[int]:
        """The numbers of those that are in a stage."""
        return [number for number, holding in self.items() if holding.stage is stage]

    def are_settled(self) -> bool:
        """Whether none is just being loaded or given."""
        return not any(holding.stage in {Stage.LOADING, Stage.GIVING} for holding in self.values())

    def moments(self, now_ns: int) -> tuple[Moment, ...]:
        """What time it is now in those whose time goes on here."""
        return tuple(
            Moment(number, holding.epoch, now_ns + holding.ahead_ns)
            for number, holding in self.items()
            if holding.stage in {Stage.SERVED, Stage.GIVING}
        )
