"""Applying anew what was lost with a shard before it was told: the next owner does, and nobody notices.

An answer keeps what was applied for it, with all that the client had left out, so each request can be repeated.
"""

from bisect import insort
from collections.abc import Callable, Collection

from timer_server.limits import KEYS_REMEMBERED
from timer_server.requests.answers import Answer, Applied, JsonAnswer, PeerAnswer
from timer_server.requests.dispatch import NOT_STORED
from timer_server.requests.errands import SENT
from timer_server.requests.forwards import Forwards
from timer_server.requests.gatherings import LocalPart
from timer_server.requests.kinds import Kinds
from timer_server.requests.open_requests import Forward, OpenRequest
from timer_server.requests.parked import Parked
from timer_server.requests.waiters import Waiter
from timer_server.requests.waits import WaitForEnd

_SLACK = 64


class Redoing:
    """What has to be applied anew, and what is known of it."""

    def __init__(
        self,
        kinds: Kinds,
        parked: Parked,
        forwards: Forwards,
        apply: Callable[[OpenRequest, int], None],
        send: Callable[[OpenRequest, int, int | None], Forward | None],
    ) -> None:
        """`apply` applies a request about several shards, at a moment. `send` sends one to the owner of its shard, to
        be done until another moment, and returns None where it has refused it instead.
        """
        self._kinds = kinds
        self._parked = parked
        self._forwards = forwards
        self._apply = apply
        self._send = send
        self._redone: dict[str, list[Forward]] = {}
        """By timer or plan, its changes that are done anew after this loss."""
        self._open_batches: set[JsonAnswer] = set()
        """Batches of which a part waits, and some that are complete by now."""
        self._open_most = _SLACK

    def note_open(self, batch: JsonAnswer) -> None:
        """Notes a batch of which a part waits: what of it was applied may have to be applied anew until then."""
        if len(self._open_batches) >= self._open_most:
            self._open_batches = {other for other in self._open_batches if other.missing}
            self._open_most = 2 * len(self._open_batches) + _SLACK
        self._open_batches.add(batch)

    def again(self, answer: Answer, lost: Collection[int], now_ns: int, until_ns: int | None = None) -> bool:
        """Has what an answer tells of lost shards applied anew. Returns whether it is complete nevertheless.

        Its requests wait until a moment at most, by default as long as new ones.
        """
        if isinstance(answer, PeerAnswer):
            if not answer.shards.isdisjoint(lost):
                answer.move()
        elif isinstance(answer, LocalPart):
            if not answer.shards.isdisjoint(lost) and not answer.question.is_done:
                self._forwards.come_back(answer.question, answer.shards)
                return False
        elif isinstance(answer, JsonAnswer):
            self._applied_again(answer, lost, now_ns, until_ns)
            return not answer.missing
        else:
            answer.fail(NOT_STORED)
        return True

    def wait_again(self, lost: Collection[int], now_ns: int) -> None:
        """Has what waits for something of lost shards wait for it at their next owners, and what batches of which a
        part waits have done there be done anew."""
        for batch in [*self._open_batches]:
            if batch.missing:
                self.again(batch, lost, now_ns)
        for waiter in self._parked.take_back(lambda waiter: self._is_lost(waiter, lost)):
            answer = waiter.message.answer
            if isinstance(answer, PeerAnswer):
                answer.move()
                self._parked.ready.append(answer)
            elif isinstance(answer, LocalPart):
                self._forwards.come_back(answer.question, answer.shards)
            elif isinstance(answer, JsonAnswer) and answer.applied is not None:
                order, call, sender = answer.applied.pop(waiter.slot)
                seq = waiter.after_seq if isinstance(waiter.wait, WaitForEnd) else None
                method, until_ns = self._kinds.of(call).method, waiter.wait.until_ns
                self._once_more(OpenRequest(order, call, method, sender, answer, waiter.slot, until_ns, seq), now_ns)
        self._redone.clear()

    def _applied_again(self, answer: JsonAnswer, lost: Collection[int], now_ns: int, until_ns: int | None) -> None:
        """Opens the slots of an answer that tell of lost shards, or of several, and has their requests applied."""
        answer.is_handed_out = True
        applied = answer.applied or {}
        kept: Applied = {}
        answer.applied = kept
        for slot, known in applied.items():
            order, call, sender = known
            shard = self._kinds.shard_of(call)
            if answer.is_open(slot) or (shard is not None and shard not in lost):
                kept[slot] = known
            else:
                answer.reopen_slot(slot)
                method = self._kinds.of(call).method
                self._once_more(OpenRequest(order, call, method, sender, answer, slot), now_ns, until_ns)
        if answer.missing and answer.is_batch:
            self.note_open(answer)

    def _is_lost(self, waiter: Waiter, lost: Collection[int]) -> bool:
        """Whether a request may wait for something that comes elsewhere from now on."""
        answer, wait = waiter.message.answer, waiter.wait
        if isinstance(answer, PeerAnswer | LocalPart):
            return not answer.shards.isdisjoint(lost)
        return not isinstance(wait, WaitForEnd) or self._kinds.shard_of_id(wait.timer_id) in lost

    def _once_more(self, request: OpenRequest, now_ns: int, until_ns: int | None = None) -> None:
        """Applies a request anew: by the owner of its shard, or by the owners of all."""
        if self._kinds.of(request.call).id_name is None:
            self._apply(request, now_ns)
        elif (forward := self._send(request, now_ns, until_ns)) is not None and forward.is_keyed:
            self._bound(forward, now_ns)

    def _bound(self, forward: Forward, now_ns: int) -> None:
        """Refuses the first of the changes of a timer that are done anew, where it may have forgotten their keys."""
        call = forward.request.call
        redone = self._redone.setdefault(getattr(call.params, self._kinds.of(call).id_name or ""), [])
        insort(redone, forward, key=lambda one: one.order)
        if len(redone) > KEYS_REMEMBERED:
            first = redone.pop(0)
            self._forwards.cancel(first)
            first.expire(SENT, now_ns)
