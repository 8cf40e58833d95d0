"""The servers and shards as one server sees them now."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from msgspec.structs import replace

from timer_server.store.membership import Offer, ServerRow, ShardRow, View


class Outlook:
    """The last view, with what this server has changed since. `living` are the servers that are not declared dead.

    The row of this server itself is `mine`, since the view shows it as it was before the beat.
    """

    def __init__(self, view: View, mine: ServerRow) -> None:
        self.me = mine.incarnation
        self.living = {row.incarnation: row for row in view.servers if not row.is_dead}
        self.living[self.me] = mine
        self.dead = {row.incarnation for row in view.servers if row.is_dead}
        self.shards = {row.number: row for row in sorted(view.shards, key=lambda row: row.number)}

    def others(self) -> list[ServerRow]:
        """The living but this one."""
        return [row for row in self.living.values() if row.incarnation != self.me]

    def oldest(self) -> str:
        """The incarnation of the living that joined first."""
        return min(self.living.values(), key=lambda row: row.joined).incarnation

    def staying(self) -> set[str]:
        """The incarnations of the living that do not want to leave."""
        return {row.incarnation for row in self.living.values() if not row.told.is_leaving}

    def orphans(self) -> list[ShardRow]:
        """The shards that no living server owns."""
        return [row for row in self.shards.values() if row.owner not in self.living]

    def offers(self) -> Iterator[Offer]:
        """What the others offer, and own."""
        for row in self.others():
            for offer in row.told.offers:
                shard = self.shards.get(offer.number)
                if shard is not None and shard.owner == row.incarnation:
                    yield offer

    def loads(self, among: Collection[str], own_offers: Iterable[Offer]) -> Counter[str]:
        """How many shards each of some servers owns, where what is offered counts as given already."""
        owners: dict[int, str | None] = {row.number: row.owner for row in self.shards.values()}
        owners.update((offer.number, offer.to) for offer in (*self.offers(), *own_offers))
        loads = Counter(dict.fromkeys(among, 0))
        loads.update(owner for owner in owners.values() if owner is not None and owner in loads)
        return loads

    def unused_dead(self) -> set[str]:
        """The incarnations declared dead that own nothing any more."""
        return self.dead - {row.owner for row in self.shards.values() if row.owner is not None}

    def bury(self, incarnations: Iterable[str]) -> None:
        """Some servers have been declared dead."""
        for incarnation in incarnations:
            self.living.pop(incarnation, None)
            self.dead.add(incarnation)

    def pass_on(self, number: int, owner: str | None) -> None:
        """A shard has another owner."""
        self.shards[number] = replace(self.shards[number], owner=owner)
