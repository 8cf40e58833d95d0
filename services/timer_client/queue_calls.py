"""What the clients ask of queues, each written once for both. `work` takes and settles deliveries by itself.

The functions that end in `_page` make one call each, the others as many as are needed.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec.structs import replace

from timer_client.arguments import several, texts, wrong_kind
from timer_client.calls import Call, Talk, new_id
from timer_client.encoding import encoded
from timer_protocol.limits import PAGE_DEFAULT, PAGE_MAXIMUM
from timer_protocol.queue_messages import (
    RECEIPTS_MAXIMUM,
    AckParams,
    DeadLetter,
    DeadMoved,
    DeadPage,
    DeadParams,
    Deleted,
    Deliveries,
    Delivery,
    EndState,
    ListQueuesParams,
    MoveDeadParams,
    NackParams,
    PutQueueParams,
    Queue,
    QueuePage,
    QueueParams,
    Renewed,
    RenewParams,
    Settled,
    TakeParams,
)

Begin = Literal["now", "start"]
Then = Literal["retry", "return", "dead"]
Receipts = Iterable[str | Delivery | DeadLetter]
"""Receipts, or what has one."""


def put_queue(  # noqa: PLR0913 - the members of the request
    queue: str,
    prefix: str,
    *,
    states: Sequence[EndState] | None = None,
    begin: Begin = "now",
    lease_ms: int | None = None,
    max_deliveries: int | None = None,
    backoff_ms: Sequence[int] | None = None,
    max_backlog: int | None = None,
    max_dead: int | None = None,
    max_bytes: int | None = None,
    keep_ms: int | None = None,
) -> Call[Queue]:
    """Make a queue of the ends of timers whose id begins with `prefix`, or change one.

    A new one begins with the ends from now on, or with `begin="start"` with all that `events` would give. A delivery
    is leased for `lease_ms`; after `max_deliveries` (0: no end of them) an end is a dead letter; `backoff_ms` says how
    long it waits after the first, second … time that it was given back. What is left out stays as it is. Needs the
    right `admin`. Raises `LimitReached`, `InvalidRequest`.
    """
    params = PutQueueParams(
        queue,
        prefix,
        None if states is None else texts("states", states, "a list of states"),
        begin,
        lease_ms,
        max_deliveries,
        None if backoff_ms is None else several("backoff_ms", backoff_ms, "a list of milliseconds"),
        max_backlog,
        max_dead,
        max_bytes,
        keep_ms,
    )
    return Call("queue.put", encoded(params), Queue)


def delete_queue(queue: str) -> Call[Deleted]:
    """Delete a queue with all that it holds; `deleted` says whether there was one."""
    return Call("queue.delete", encoded(QueueParams(queue)), Deleted)


def get_queue(queue: str) -> Call[Queue]:
    """A queue as it stands: its bounds, and how much it holds. Raises `QueueNotFound`."""
    return Call("queue.get", encoded(QueueParams(queue)), Queue)


def queues_page(prefix: str, after: str | None) -> Call[QueuePage]:
    """A page of queues."""
    return Call("queue.list", encoded(ListQueuesParams(prefix, after, PAGE_MAXIMUM)), QueuePage)


def queues(prefix: str = "") -> Talk[list[Queue]]:
    """All queues whose own prefix begins with `prefix`, in the order of their names."""
    found: list[Queue] = []
    after = None
    while True:
        page: QueuePage = yield queues_page(prefix, after)
        found += page.queues
        if page.next is None:
            return found
        after = page.next


def take_page(queue: str, most: int, wait_ms: int, key: str) -> Call[Deliveries]:
    """Lease ends."""
    return Call("queue.take", encoded(TakeParams(queue, most, wait_ms, key)), Deliveries, wait_ms)


def take(queue: str, max: int = 1, wait_ms: int = 0, *, key: str | None = None) -> Talk[list[Delivery]]:
    """Lease up to `max` (at most 100) of the ends that are ready, in order; where there are none, wait for one.

    It may give none before `wait_ms` are over. Each delivery is to be handled before its lease ends, and then passed to
    `ack`. The same `key` again gives the same deliveries and no others; one is made where it is left out, so that a
    lost reply takes nothing twice. Raises `QueueNotFound`, `LimitReached`.
    """
    taken: Deliveries = yield take_page(queue, max, wait_ms, new_id() if key is None else key)
    return taken.deliveries


def ack_page(queue: str, receipts: list[str]) -> Call[Settled]:
    """Be done with deliveries."""
    return Call("queue.ack", encoded(AckParams(queue, receipts)), Settled)


def ack(queue: str, receipts: Receipts) -> Talk[Settled]:
    """Be done with deliveries, given as such or by their receipts: their ends never come again.

    The result says which are `done`, and which `lost`: their leases had ended, and somebody else may have the ends.
    Raises `QueueNotFound`, and `InvalidRequest` for a text that is no receipt of this queue.
    """
    settled = Settled([], [])
    for part in _parts(receipts):
        settled = _with(settled, (yield ack_page(queue, part)))
    return settled


def nack_page(params: NackParams) -> Call[Settled]:
    """Give deliveries back, or up."""
    return Call("queue.nack", encoded(params), Settled)


def nack(
    queue: str,
    receipts: Receipts,
    then: Then = "retry",
    *,
    delay_ms: int | None = None,
    reason: str | None = None,
) -> Talk[Settled]:
    """Give deliveries back, given as such or by their receipts.

    Then they come again after a while ("retry", after `delay_ms` or as the queue's backoff says), at once and without
    having used an attempt ("return"), or not at all ("dead"). `reason` is kept for who reads the dead letters.
    Otherwise as `ack`.
    """
    settled = Settled([], [])
    for part in _parts(receipts):
        settled = _with(settled, (yield nack_page(NackParams(queue, part, then, delay_ms, reason))))
    return settled


def renew_page(queue: str, receipts: list[str], lease_ms: int | None) -> Call[Renewed]:
    """Lease deliveries for longer."""
    return Call("queue.renew", encoded(RenewParams(queue, receipts, lease_ms)), Renewed)


def renew(queue: str, receipts: Receipts, *, lease_ms: int | None = None) -> Talk[Renewed]:
    """Lease deliveries anew from now on, for `lease_ms` or as long as the queue says. Otherwise as `ack`."""
    renewed = Renewed([], 0, [])
    for part in _parts(receipts):
        page: Renewed = yield renew_page(queue, part, lease_ms)
        renewed = Renewed(renewed.leased + page.leased, page.leased_until_ms, renewed.lost + page.lost)
    return renewed


def dead(queue: str, after: str | None = None, limit: int = PAGE_DEFAULT) -> Call[DeadPage]:
    """A page of at most `limit` dead letters in the order in which they died.

    Its `next` is the `after` of the page that follows. Raises `QueueNotFound`.
    """
    return Call("queue.dead", encoded(DeadParams(queue, after, limit)), DeadPage)


def revive_page(params: MoveDeadParams) -> Call[DeadMoved]:
    """Make dead letters ready again."""
    return Call("queue.revive", encoded(params), DeadMoved)


def revive(queue: str, receipts: Receipts | None = None) -> Talk[Settled]:
    """Make dead letters ready again, as if they had never been delivered: those with these receipts, or all there are.

    The result says which are `done`, and which `lost`: no dead letters any more. Raises `QueueNotFound`.
    """
    settled = Settled([], [])
    for part in _parts((yield from _all_dead(queue)) if receipts is None else receipts):
        moved: DeadMoved = yield revive_page(MoveDeadParams(queue, part))
        settled = _with(settled, moved)
    return settled


def drop_page(params: MoveDeadParams) -> Call[DeadMoved]:
    """Forget dead letters."""
    return Call("queue.drop", encoded(params), DeadMoved)


def drop(queue: str, receipts: Receipts | None = None) -> Talk[Settled]:
    """Forget dead letters: those with these receipts, or all there are. Otherwise as `revive`."""
    settled = Settled([], [])
    for part in _parts((yield from _all_dead(queue)) if receipts is None else receipts):
        moved: DeadMoved = yield drop_page(MoveDeadParams(queue, part))
        settled = _with(settled, moved)
    return settled


def _all_dead(queue: str) -> Talk[list[str]]:
    """The receipts of all dead letters. A repeated call that names them moves no others."""
    found: list[str] = []
    call = dead(queue, limit=PAGE_MAXIMUM)
    while True:
        page: DeadPage = yield call
        found += [letter.receipt for letter in page.dead]
        if page.next is None:
            return found
        call = dead(queue, page.next, PAGE_MAXIMUM)


def _parts(receipts: Receipts) -> list[list[str]]:
    """Receipts in lists of as many as a call takes. Raises `InvalidArgument`."""
    named = [
        each if isinstance(each, str) else _receipt_of(place, each)
        for place, each in enumerate(several("receipts", receipts, "a list of receipts or deliveries"))
    ]
    return [named[first : first + RECEIPTS_MAXIMUM] for first in range(0, len(named), RECEIPTS_MAXIMUM)]


def _receipt_of(place: int, each: object) -> str:
    if isinstance(each, Delivery | DeadLetter):
        return each.receipt
    raise wrong_kind(f"receipts[{place}]", each, "a receipt or a delivery")


def _with(settled: Settled, more: Settled | DeadMoved) -> Settled:
    return replace(settled, done=settled.done + more.done, lost=settled.lost + more.lost)
