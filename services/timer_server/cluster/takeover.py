"""Which shards without a living owner this server takes."""

from collections.abc import Collection

from timer_server.cluster.outlook import Outlook
from timer_server.cluster.timelines import Timelines
from timer_server.store.membership import ShardRow


class Takeover:
    """Deals shards without a living owner out, so that several servers take them side by side.

    Each server deals for itself and takes its own part. All deal alike, as they look at the same rows. Where they do
    not, two try to take a shard and one of them finds its epoch raised, or nobody does for a lease, and then anybody
    may.

    A shard is dealt to those that have read its last tie, as they alone know how late it is there. Who joins with a tie
    already there goes by PostgreSQL's clock, so it takes the shard only if no older server lives: none has read it.
    """

    def __init__(self, lease_ns: int, timelines: Timelines) -> None:
        self._patience_ns = lease_ns
        self._timelines = timelines
        self._known_in: dict[str, int] = {}
        """The number of the view that first showed each living server."""
        self._orphaned: dict[int, tuple[int, int]] = {}
        """The epoch of each shard without a living owner, and since when this server has seen it so."""

    def observe(self, outlook: Outlook) -> None:
        """Takes in a view that the timelines have taken in."""
        known_in = self._known_in
        self._known_in = {server: known_in.get(server, self._timelines.views) for server in outlook.living}

    def mine(self, outlook: Outlook, held: Collection[int], now_ns: int) -> list[ShardRow]:
        """The shards to take now: its part, and what is its own by the last view, though it does not hold it.

        Of what it holds it takes nothing: it may be giving that just now, and has yet to hear that it was given.
        """
        staying = outlook.staying()
        if outlook.me not in staying:
            return []
        taken = [row for row in outlook.shards.values() if row.owner == outlook.me and row.number not in held]
        loads = outlook.loads(staying, ())
        orphans = outlook.orphans()
        self._note(orphans, now_ns)
        for row in orphans:
            takers = self._takers(row, outlook, staying)
            if not takers:
                continue
            first = min(takers, key=lambda server: (loads[server], server))
            loads[first] += 1
            is_left = now_ns - self._orphaned[row.number][1] >= self._patience_ns
            if row.number not in held and (first == outlook.me or (is_left and outlook.me in takers)):
                taken.append(row)
        return taken

    def _note(self, orphans: list[ShardRow], now_ns: int) -> None:
        before, self._orphaned = self._orphaned, {}
        for row in orphans:
            epoch, since_ns = before.get(row.number, (row.epoch, now_ns))
            self._orphaned[row.number] = (row.epoch, since_ns if epoch == row.epoch else now_ns)

    def _takers(self, row: ShardRow, outlook: Outlook, staying: set[str]) -> set[str]:
        """Who may take a shard."""
        if not self._timelines.is_tied(row.number):
            return staying
        read_in = self._timelines.read_in(row.number)
        if read_in is None:
            return {outlook.oldest()} & staying
        return {server for server in staying if server == outlook.me or self._known_in.get(server, read_in) < read_in}
