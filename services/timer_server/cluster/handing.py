"""How shards pass from one living server to another: offered, read ahead there, and given."""

from timer_server.cluster.actions import Action, Drop, Give, ReadAhead
from timer_server.cluster.balance import next_offer, parting_offers, still_pays
from timer_server.cluster.holdings import Holdings, Stage
from timer_server.cluster.outlook import Outlook
from timer_server.cluster.patience import Patience
from timer_server.store.membership import Offer


class Handing:
    """What this server offers to others, and what is offered to it.

    An offer is told with the beat. Who is offered a shard reads its log ahead and tells that it is ready; then the
    owner gives it, and what is still to be read is little. A server that stays offers one shard at a time, and
    withdraws it from one that does not get ready. One that leaves offers all at once, and after some time gives also
    what is not ready.
    """

    def __init__(self, holdings: Holdings, lease_ns: int) -> None:
        self._holdings = holdings
        self._leaving_ns = 2 * lease_ns
        """How long a server that leaves waits for others to get ready."""
        self._patience = Patience(3 * lease_ns)
        self._offers: dict[int, Offer] = {}
        self._offered_ns = 0
        """When something was offered last."""
        self._read_up: dict[int, bool] = {}
        """The shards that are read ahead, and whether their logs were read."""
        self.leaving_since_ns: int | None = None

    @property
    def offers(self) -> tuple[Offer, ...]:
        """What this server offers."""
        return tuple(self._offers.values())

    @property
    def ready(self) -> tuple[int, ...]:
        """The offered shards whose logs were read ahead."""
        return tuple(number for number, is_ready in self._read_up.items() if is_ready)

    def is_under_way(self) -> bool:
        """Whether something may be given soon, so that looking for it more often pays."""
        return bool(self._offers or self.ready) or self.leaving_since_ns is not None

    def note_read_up(self, number: int) -> None:
        """The log of an offered shard was read ahead."""
        if number in self._read_up:
            self._read_up[number] = True

    def forget(self, number: int) -> None:
        """A shard is taken, given or lost: neither is it offered any more nor read ahead."""
        self._offers.pop(number, None)
        self._read_up.pop(number, None)

    def step(self, outlook: Outlook, now_ns: int) -> list[Action]:
        """What to read ahead, to let go of, and to give by a new view."""
        received = self._receive(outlook)
        self._offer(outlook, now_ns)
        return [*received, *self._give(outlook, now_ns)]

    def _receive(self, outlook: Outlook) -> list[Action]:
        offered = {offer.number for offer in outlook.offers() if offer.to == outlook.me}
        if self.leaving_since_ns is not None:
            offered.clear()
        for number in self._read_up:  # what was just given is taken next
            if outlook.shards[number].owner == outlook.me:
                offered.add(number)
        dropped = [number for number in self._read_up if number not in offered]
        new = sorted(offered - self._read_up.keys() - self._holdings.keys())
        for number in dropped:
            del self._read_up[number]
        self._read_up.update(dict.fromkeys(new, False))
        return [*map(Drop, dropped), *map(ReadAhead, new)]

    def _offer(self, outlook: Outlook, now_ns: int) -> None:
        """Withdraws what is not wanted any more, and offers anew."""
        giving = self._holdings.in_stage(Stage.GIVING)
        for offer in self.offers:
            if offer.number not in giving and not self._is_wanted(outlook, offer, now_ns):
                del self._offers[offer.number]
        served = [number for number in self._holdings.in_stage(Stage.SERVED) if number not in self._offers]
        new: list[Offer] = []
        if self.leaving_since_ns is not None:
            new = parting_offers(outlook, served, self.offers)
        elif not self._offers and self._holdings.are_settled():
            further = next_offer(outlook, served, self._patience.resting(outlook.living, now_ns))
            new = [] if further is None else [further]
        if new:
            self._offered_ns = now_ns
            self._offers.update((offer.number, offer) for offer in new)

    def _is_wanted(self, outlook: Outlook, offer: Offer, now_ns: int) -> bool:
        """Whether an offer is to stand: the receiver stays, does not own enough by now, and gets ready in time."""
        if offer.to not in outlook.staying():
            return False
        if self.leaving_since_ns is not None:
            return True
        if not still_pays(outlook, offer):
            return False
        if _is_ready(outlook, offer) or not self._patience.ends(offer.to, self._offered_ns, now_ns):
            return True
        self._patience.was_in_vain(offer.to, now_ns)
        return False

    def _give(self, outlook: Outlook, now_ns: int) -> list[Action]:
        """Gives what is ready, or has waited for too long; and to nobody what nobody can have."""
        since_ns = self.leaving_since_ns
        is_late = since_ns is not None and now_ns - since_ns >= self._leaving_ns
        given: list[Action] = []
        for number in self._holdings.in_stage(Stage.SERVED):
            offer = self._offers.get(number)
            if offer is not None and not is_late and not _is_ready(outlook, offer):
                continue
            if offer is None and since_ns is None:
                continue
            if offer is not None and _is_ready(outlook, offer):
                self._patience.was_rewarded(offer.to)
            holding = self._holdings[number]
            holding.stage = Stage.GIVING
            given.append(Give(number, holding.epoch, None if offer is None else offer.to))
        return given


def _is_ready(outlook: Outlook, offer: Offer) -> bool:
    """Whether the receiver has read ahead what it was offered."""
    return offer.number in outlook.living[offer.to].told.ready
