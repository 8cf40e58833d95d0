"""Requests for shards of other servers: each is sent to the owner of its shard, and sent again where that changes.

What is asked of one server in a turn goes there in one message. A request is safe to send again, since its id or key
was filled in before. A reply to an earlier sending is dropped by its number.
"""

from collections import OrderedDict
from collections.abc import Callable, Container, Iterable, Mapping
from heapq import heapify, heappop, heappush

from msgspec import Raw, Struct

from timer_protocol.durations import NS_PER_MS
from timer_protocol.errors import Refusal
from timer_server.requests.between_servers import (
    PeerCancel,
    PeerError,
    PeerMoved,
    PeerReply,
    PeerRequest,
    PeerResult,
    PeerSender,
    PeerWaiting,
    Requests,
    packed,
)
from timer_server.requests.errands import NEVER_SENT, NOT_KEPT, SENT, STEPS, Errand, Lines
from timer_server.requests.forward_room import ForwardRoom
from timer_server.requests.placement import Shards
from timer_server.store.membership import Owner

FORWARD_WITHIN_MS = 4_000
"""How long a request for a shard of another server waits for its answer, unless it says how long."""

MESSAGE_BYTES = 4 * 1024 * 1024
"""Bytes of params or results that end a message to another server. What follows goes in one more."""

_SLACK = 64


class _Sending(Struct, gc=False):
    """A request that is in flight to an owner. `is_apart` says that it waits there, and holds up no line any more."""

    errand: Errand
    shards: tuple[tuple[int, int], ...]
    to: str
    is_apart: bool = False


class _Bundle:
    """What goes to one server at the end of this turn."""

    __slots__ = ("places", "requests", "senders", "size")

    def __init__(self) -> None:
        self.size = 0
        self.requests: list[PeerRequest | PeerCancel] = []
        self.senders: list[PeerSender] = []
        self.places: dict[PeerSender, int] = {}

    def place_of(self, sender: PeerSender) -> int:
        """The place of a sender among those of the message."""
        place = self.places.get(sender)
        if place is None:
            place = self.places[sender] = len(self.senders)
            self.senders.append(sender)
        return place


class Forwards:
    """The requests of this server's clients for shards that others own.

    `apply` does an errand in shards that are this server's own by now, given the numbers of those and the time.
    """

    apply: Callable[[Errand, frozenset[int], int], None]

    def __init__(self, shards: Shards, send: Callable[[str, bytes], bool]) -> None:
        """`send` sends a message to a server, by its incarnation. It says False where there is no connection."""
        self._shards = shards
        self._send = send
        self.lines = Lines()
        self.room = ForwardRoom()
        self._owners: dict[int, Owner] = {}
        self._owned = shards.owned
        self._unreachable: set[str] = set()
        """Servers that could not be sent to. They are tried again once they are connected, or followed."""
        self._fresh: dict[int, Errand] = {}
        """Errands to be tried, by order."""
        self._postponed: dict[int, Errand] = {}
        """Errands that could be applied here, in the next turn."""
        self._sendings: dict[int, _Sending] = {}
        self._numbers: dict[str, set[int]] = {}
        """What is in flight to each server."""
        self._bundles: dict[str, _Bundle] = {}
        self._short: OrderedDict[int, Errand] = OrderedDict()
        """Errands that wait for the usual time, the oldest first."""
        self._long: list[tuple[int, int, Errand]] = []
        """Errands that have another time."""
        self._taken = 0
        self.order = 0
        """The first of the last request: those after it have higher ones."""
        self._number = 0

    def next_order(self) -> int:
        """The first order of a request, higher than all before."""
        self.order += STEPS
        return self.order

    def take(self, errand: Errand, size: int, now_ns: int, until_ns: int | None = None) -> None:
        """Takes on an errand, whose params have `size` bytes. Raises `Refusal` (limit_reached)."""
        self.room.take(errand.message, size)
        order = errand.order
        for shard in errand.unsent:
            self.lines.stand(errand, shard)
        self._fresh[order] = errand
        if until_ns is None:
            errand.until_ns = now_ns + FORWARD_WITHIN_MS * NS_PER_MS
            self._short[order] = errand
        else:
            errand.until_ns = until_ns
            self._taken += 1
            heappush(self._long, (until_ns, self._taken, errand))

    def cancel(self, errand: Errand) -> None:
        """Gives an errand up. Owners that have it are told so."""
        for number in [*errand.numbers]:
            sending = self._landed(number)
            if sending.to not in self._unreachable:
                self._bundle(sending.to).requests.append(PeerCancel(number))
        self._end(errand)

    def fail_all(self, refusal: Refusal) -> None:
        """Gives all errands up. Those that were sent may have been done, and are told so."""
        for errand in [*self._short.values(), *(entry[2] for entry in self._long)]:
            if not errand.is_done:
                self._expire_now(errand, refusal, 0)

    def hold(self, errand: Errand) -> None:
        """Has all that its connection asks after an errand wait until that is released."""
        self.lines.hold(errand)

    def release(self, errand: Errand) -> None:
        """Lets what an errand has held up go."""
        self._fresh.update(self.lines.release(errand))

    # What happens

    def follow(self, owners: Mapping[int, Owner], servers: Container[str]) -> None:
        """Takes note of who serves which shard, and of the servers there are. What a dead one had is sent again."""
        for incarnation in [*self._numbers]:
            if incarnation not in servers:
                self.broken(incarnation)
        self._owners = dict(owners)
        self._unreachable.clear()
        for shard in self.lines.shards():
            if shard in self._owners or self._shards.has(shard):
                self._fresh.update(self.lines.waiting_for(shard))

    def connected(self, incarnation: str) -> None:
        """Takes note that a server can be sent to again."""
        self._unreachable.discard(incarnation)
        for shard in self.lines.shards():
            owner = self._owners.get(shard)
            if owner is not None and owner.incarnation == incarnation:
                self._fresh.update(self.lines.waiting_for(shard))

    def broken(self, incarnation: str) -> None:
        """What was in flight to a server may be lost: it waits again, in order."""
        self._unreachable.add(incarnation)
        self._bundles.pop(incarnation, None)
        for number in sorted(self._numbers.get(incarnation, ())):
            self._come_back(number)

    def replied(self, incarnation: str, replies: Iterable[PeerReply]) -> None:
        """What a server has replied."""
        for reply in replies:
            number = reply.number
            sending = self._sendings.get(number)
            if sending is None or sending.to != incarnation:
                continue
            if type(reply) is PeerResult:
                self._tell(number, Raw(reply.result), len(reply.result))
            elif type(reply) is PeerError:
                self._tell(number, reply.error)
            elif type(reply) is PeerMoved:
                self._moved(sending, dict(reply.serves))
                self._come_back(number)
            elif type(reply) is PeerWaiting:
                sending.is_apart = True
                sending.errand.after_seq = reply.seq
                for shard, _ in sending.shards:
                    self._fresh.update(self.lines.leave(sending.errand, shard))

    def _moved(self, sending: _Sending, serves: Mapping[int, int]) -> None:
        """Goes by the epochs in which a server says that it serves shards of a request. Where it serves one no longer,
        or has yet to learn of a later epoch, the owner is not known until the next beat."""
        if not serves and len(sending.shards) > 1:
            sending.errand.is_parted = True  # to find which of them has moved
            return
        for shard, epoch in sending.shards:
            if self._owners.get(shard) != (sending.to, epoch):
                continue
            present = serves.get(shard, 0)
            if present > epoch:
                self._owners[shard] = Owner(sending.to, present)
            elif present < epoch:
                del self._owners[shard]

    def come_back(self, errand: Errand, shards: Iterable[int]) -> None:
        """Has an errand wait again that was applied in shards of this server which it has lost."""
        for shard in shards:
            errand.unsent.add(shard)
            self._fresh.update(self.lines.come_back(errand, shard))

    def tell(self, errand: Errand, shards: frozenset[int], outcome: object, size: int) -> None:
        """Tells an errand what came of it in some shards, which has `size` bytes; a refusal where these are too many to
        be kept until the rest is there."""
        if size and not self.room.may_keep(errand.message, size):
            outcome, size = NOT_KEPT, 0
        self.told(errand, errand.tell(shards, outcome), size)

    def told(self, errand: Errand, is_done: bool, size: int = 0) -> None:
        """Takes note of what came of an errand, which has `size` bytes; and whether that was all."""
        if is_done:
            self._end(errand)
        self.room.keep(errand.message, size)

    # Time

    def next_due_ns(self) -> int | None:
        """When there is something to do: 0 for now, None for nothing."""
        if self._fresh or self._postponed or self._bundles or self._owned is not self._shards.owned:
            return 0
        while self._long and self._long[0][2].is_done:
            heappop(self._long)
        first_ns = self._long[0][0] if self._long else None
        if self._short:
            short_ns = next(iter(self._short.values())).until_ns
            return short_ns if first_ns is None else min(first_ns, short_ns)
        return first_ns

    def step(self, now_ns: int, *, may_apply: bool = True) -> None:
        """Answers whose time is up, applies what can be here by now, and sends the rest to the owners there are.

        While no turn may begin nothing is applied: it would be submitted later, when its shard may be another's.
        """
        self._expire(now_ns)
        if may_apply and self._postponed:
            self._fresh.update(self._postponed)
            self._postponed.clear()
        if self._owned is not self._shards.owned:
            self._owned = self._shards.owned
            for shard in self.lines.shards():
                if self._shards.has(shard):
                    self._fresh.update(self.lines.waiting_for(shard))
        while self._fresh:
            fresh, self._fresh = self._fresh, {}
            for order in sorted(fresh):
                self._try(fresh[order], now_ns, may_apply)
        bundles, self._bundles = self._bundles, {}
        for incarnation, bundle in bundles.items():
            self._send_bundle(incarnation, bundle)

    def _expire(self, now_ns: int) -> None:
        while (due_ns := self._next_end_ns()) is not None and due_ns <= now_ns:
            if self._short and next(iter(self._short.values())).until_ns == due_ns:
                errand = next(iter(self._short.values()))
            else:
                errand = heappop(self._long)[2]
            self._expire_now(errand, NEVER_SENT, now_ns)

    def _expire_now(self, errand: Errand, refusal: Refusal, now_ns: int) -> None:
        self.cancel(errand)
        errand.expire(SENT if errand.was_sent else refusal, now_ns)

    def _next_end_ns(self) -> int | None:
        while self._long and self._long[0][2].is_done:
            heappop(self._long)
        moments = [self._long[0][0]] if self._long else []
        if self._short:
            moments.append(next(iter(self._short.values())).until_ns)
        return min(moments, default=None)

    # Sending

    def _try(self, errand: Errand, now_ns: int, may_apply: bool) -> None:
        """Sends an errand for those of its shards whose owners are known, or applies it where they are here."""
        if errand.is_done or (self.lines.held and self.lines.is_held(errand)):
            return
        here: list[int] = []
        there: dict[tuple[str, int | None], list[tuple[int, int]]] = {}
        for shard in sorted(errand.unsent) if len(errand.unsent) > 1 else (*errand.unsent,):
            line = self.lines.line(errand.connection, shard)
            if self._shards.has(shard):
                if line.may_go(errand, None):
                    here.append(shard)
                continue
            owner = self._owners.get(shard)
            if owner is None or owner.incarnation in self._unreachable or not line.may_go(errand, owner):
                continue
            self.lines.go(errand, shard, owner)
            there.setdefault((owner.incarnation, shard if errand.is_parted else None), []).append((shard, owner.epoch))
        for (incarnation, _), shards in there.items():
            self._put(errand, incarnation, tuple(shards), now_ns)
        if here and not may_apply:
            self._postponed[errand.order] = errand
        elif here:
            errand.unsent.difference_update(here)
            for shard in here:
                self._fresh.update(self.lines.leave(errand, shard))
            self.apply(errand, frozenset(here), now_ns)

    def _put(self, errand: Errand, incarnation: str, shards: tuple[tuple[int, int], ...], now_ns: int) -> None:
        """Puts a request into what goes to a server at the end of this turn."""
        self._number += 1
        number = self._number
        errand.unsent.difference_update([shard for shard, _ in shards])
        errand.numbers.add(number)
        self._sendings[number] = _Sending(errand, shards, incarnation)
        self._numbers.setdefault(incarnation, set()).add(number)
        message, bundle, params = errand.message, self._bundle(incarnation), errand.params(shards)
        bundle.requests.append(
            PeerRequest(
                number,
                message.number,
                message.connection,
                bundle.place_of(message.sender),
                shards,
                errand.method,
                params,
                errand.left_ms(now_ns),
                errand.after_seq,
            )
        )
        bundle.size += len(params)
        if bundle.size > MESSAGE_BYTES:
            self._send_bundle(incarnation, self._bundles.pop(incarnation))

    def _bundle(self, incarnation: str) -> _Bundle:
        bundle = self._bundles.get(incarnation)
        if bundle is None:
            bundle = self._bundles[incarnation] = _Bundle()
        return bundle

    def _send_bundle(self, incarnation: str, bundle: _Bundle) -> None:
        is_sent = self._send(incarnation, packed(Requests(bundle.senders, bundle.requests)))
        if not is_sent:
            self._unreachable.add(incarnation)
        for request in bundle.requests:
            sending = self._sendings.get(request.number)
            if sending is None or sending.to != incarnation:
                continue
            if is_sent:
                sending.errand.was_sent = True
            else:
                self._come_back(request.number)

    # Ends

    def _tell(self, number: int, outcome: object, size: int = 0) -> None:
        sending = self._landed(number)
        self.tell(sending.errand, frozenset([shard for shard, _ in sending.shards]), outcome, size)

    def _come_back(self, number: int) -> None:
        sending = self._forget(number)
        errand = sending.errand
        for shard, _ in sending.shards:
            errand.unsent.add(shard)
            self._fresh.update(self.lines.come_back(errand, shard))

    def _landed(self, number: int) -> _Sending:
        """A request is in flight no longer, nor will be again."""
        sending = self._forget(number)
        if not sending.is_apart:
            for shard, _ in sending.shards:
                self._fresh.update(self.lines.leave(sending.errand, shard))
        return sending

    def _forget(self, number: int) -> _Sending:
        sending = self._sendings.pop(number)
        sending.errand.numbers.discard(number)
        of_server = self._numbers[sending.to]
        of_server.discard(number)
        if not of_server:
            del self._numbers[sending.to]
        return sending

    def _end(self, errand: Errand) -> None:
        """Nothing more is to be done for an errand."""
        if errand.is_done:
            return
        errand.is_done = True
        for shard in errand.unsent:
            self._fresh.update(self.lines.leave(errand, shard))
        if self._short.pop(errand.order, None) is None and len(self._long) > 2 * self.room.requests + _SLACK:
            self._long = [entry for entry in self._long if not entry[2].is_done]
            heapify(self._long)
        self.room.give_back(errand.message)
