"""Which shards a server gives away, and to whom. Only the owner decides."""

from collections import Counter
from collections.abc import Container, Sequence

from timer_server.cluster.outlook import Outlook
from timer_server.store.membership import Offer


def next_offer(outlook: Outlook, served: Sequence[int], resting: Container[str] = ()) -> Offer | None:
    """The one shard to give now so that all own equally many, or one more; None where this server need not give.

    It gives if it owns more than its part, rounded up. Where nobody does, and somebody owns two less than another, the
    first of those that own most gives. As long as a shard has no living owner, taking it comes first. Those that rest
    are given nothing.
    """
    if not served or outlook.orphans():
        return None
    loads = outlook.loads(outlook.staying(), ())
    least = min((server for server in loads if server not in resting), key=lambda server: (loads[server], server))
    if loads[outlook.me] - loads[least] < 2 or not _gives(outlook.me, loads):
        return None
    return Offer(max(served), least)


def still_pays(outlook: Outlook, offer: Offer) -> bool:
    """Whether giving what was offered brings this server and the receiver nearer to each other."""
    loads = outlook.loads(outlook.staying(), ())
    return loads[outlook.me] - loads[offer.to] >= 2


def _gives(me: str, loads: Counter[str]) -> bool:
    part = -(-loads.total() // len(loads))
    most = max(loads.values())
    return loads[me] > part or (most <= part and me == min(server for server in loads if loads[server] == most))


def parting_offers(outlook: Outlook, served: Sequence[int], offers: Sequence[Offer]) -> list[Offer]:
    """To whom a server that leaves gives each of some shards; none where nobody stays."""
    loads = outlook.loads(outlook.staying() - {outlook.me}, offers)
    parting = []
    if loads:
        for number in served:
            least = min(loads, key=lambda server: (loads[server], server))
            loads[least] += 1
            parting.append(Offer(number, least))
    return parting
