"""Dead letters over all shards, in the order in which they died, and what may be done with them."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.messages import Event
from timer_protocol.queue_messages import DeadLetter, DeadMoved, DeadPage, DeadParams, MoveDeadParams
from timer_server.core.queues.deliveries import Delivery
from timer_server.core.queues.receipts import Receipts
from timer_server.core.room import ENTRY_BYTES
from timer_server.limits import PAGE_BYTES
from timer_server.requests.deliveries import ends_of
from timer_server.requests.pages import PagePart, merged
from timer_server.requests.placement import Shards
from timer_server.requests.queue_receipts import Outcome, Part, by_shard, outcome
from timer_server.requests.room import ReplyRoom
from timer_server.requests.shard import Shard

_CURSOR = re.compile(r"([0-9]{1,18})-([0-9]{1,4})-([0-9]{1,18})", re.ASCII)


class Death(NamedTuple):
    """When a letter died, in which shard, and which death of that shard it was: pages are in this order.

    The moment is that of the shard's own timeline, so that the order stays when a shard goes to another server.
    """

    died_at_ms: int
    shard: int
    death: int

    def cursor(self) -> str:
        """What to pass as `after` for the letters that died after this one."""
        return f"{self.died_at_ms}-{self.shard}-{self.death}"


BEFORE_ALL = Death(0, 0, 0)


def death_at(after: str | None) -> Death:
    """The death that a cursor names. Raises `Refusal` (invalid_params) for any other text."""
    if after is None:
        return BEFORE_ALL
    match = _CURSOR.fullmatch(after)
    if match is None:
        what = f"after must be `next` of an earlier page of dead letters; got {after[:40]!r}"
        raise Refusal(ErrorCode.INVALID_PARAMS, what)
    return Death(*map(int, match.groups()))


def letters_of(shard: Shard, queue: str, after: Death, most: int) -> PagePart[Death, Delivery]:
    """Up to `most` dead letters of one shard that died after a death, which may be that of another shard."""
    if shard.queues.standing(queue) is None:
        return PagePart([], [], None)
    if shard.number == after.shard:
        death = after.death
    else:  # of those that died in the same millisecond, shards are in the order of their numbers
        death = shard.queues.deaths_before(queue, after.died_at_ms + (shard.number < after.shard))
    found, following = shard.queues.dead(queue, death, most)
    keys = [Death(letter.at_ms, shard.number, death) for death, letter in found]
    return PagePart(keys, [letter for _, letter in found], None if following is None else keys[-1])


def page_of_deaths(shards: Sequence[Shard], params: DeadParams | MoveDeadParams) -> PagePart[Death, Delivery]:
    """A page of the dead letters of some shards. Raises `Refusal` (invalid_params) for a cursor that is none."""
    after = death_at(params.after)
    return merged([letters_of(shard, params.queue, after, params.limit) for shard in shards], params.limit)


def receipts_of(shards: Sequence[Shard], queue: str, page: PagePart[Death, Delivery]) -> PagePart[Death, str]:
    """The receipts of the dead letters on a page."""
    of = {shard.number: Receipts(shard.log.id, queue) for shard in shards}
    receipts = [of[death.shard].text(letter.number) for death, letter in zip(page.keys, page.items, strict=True)]
    return PagePart(page.keys, receipts, page.next)


def read_part(shards: Sequence[Shard], params: DeadParams, room: ReplyRoom) -> PagePart[Death, DeadLetter]:
    """A page of the dead letters of some shards, with their ends. Large payloads end it early."""
    page = page_of_deaths(shards, params)
    kept, page_bytes = 0, min(PAGE_BYTES, room.left_bytes)
    for letter in page.items:
        if kept and page_bytes < letter.payload_bytes:
            break
        kept += 1
        page_bytes -= letter.payload_bytes
    if kept < len(page.items):
        page = PagePart(page.keys[:kept], page.items[:kept], page.keys[kept - 1])
    events = _events(shards, page, room)
    dead = [
        DeadLetter(receipt, letter.attempts, letter.reason, letter.at_ms, events[death])
        for death, letter, receipt in zip(
            page.keys, page.items, receipts_of(shards, params.queue, page).items, strict=True
        )
    ]
    return PagePart(page.keys, dead, page.next)


def page_of(parts: Sequence[PagePart[Death, DeadLetter]], limit: int) -> DeadPage:
    """The page that its parts come to."""
    page = merged(parts, limit)
    return DeadPage(page.items, cursor_of(page.next))


def cursor_of(death: Death | None) -> str | None:
    """What to pass as `after` to go on behind a death; None at the end."""
    return None if death is None else death.cursor()


def revive_parts(parts: Sequence[Part], params: MoveDeadParams, receipts: Sequence[str], now_ns: int) -> Outcome:
    """Makes dead letters ready again. Raises `Refusal` (limit_reached); then none is."""
    for part in parts:
        part.shard.engine.take_room(ENTRY_BYTES)
    name = params.queue
    return outcome(
        receipts, parts, lambda part: part.shard.queues.revive(name, part.known(), part.shard.at(now_ns)).done
    )


def drop_parts(parts: Sequence[Part], params: MoveDeadParams, receipts: Sequence[str], now_ns: int) -> Outcome:
    """Forgets dead letters."""
    name = params.queue
    return outcome(receipts, parts, lambda part: part.shard.queues.drop(name, part.known(), part.shard.at(now_ns)).done)


def check_choice(params: MoveDeadParams) -> None:
    """Raises `Refusal` (invalid_params) where both a page and receipts say which letters are meant."""
    if params.receipts is not None and params.after is not None:
        raise Refusal(ErrorCode.INVALID_PARAMS, "either receipts or after: it goes on with a page of all")


class DeadLetterMethods:
    """The methods about dead letters."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    def dead(self, params: DeadParams, _: int, room: ReplyRoom) -> DeadPage:
        """A page of dead letters. Large payloads end it early."""
        self._shards.of(params.queue).queues.find(params.queue)
        return page_of([read_part(self._shards.all(), params, room)], params.limit)

    def revive(self, params: MoveDeadParams, now_ns: int, _: ReplyRoom) -> DeadMoved:
        """Makes dead letters ready again."""
        receipts, parts, after = self._chosen(params)
        return DeadMoved(*revive_parts(parts, params, receipts, now_ns), after)

    def drop(self, params: MoveDeadParams, now_ns: int, _: ReplyRoom) -> DeadMoved:
        """Forgets dead letters."""
        receipts, parts, after = self._chosen(params)
        return DeadMoved(*drop_parts(parts, params, receipts, now_ns), after)

    def _chosen(self, params: MoveDeadParams) -> tuple[Sequence[str], list[Part], str | None]:
        """The receipts of the dead letters that are meant, by shard too, and the cursor to go on after."""
        check_choice(params)
        home, shards = self._shards.of(params.queue), self._shards.owned
        home.queues.find(params.queue)
        if params.receipts is not None:
            return params.receipts, by_shard(shards, home, params.queue, params.receipts), None
        shards = self._shards.all()
        page = receipts_of(shards, params.queue, page_of_deaths(shards, params))
        return page.items, by_shard(shards, home, params.queue, page.items), cursor_of(page.next)


def _events(shards: Sequence[Shard], page: PagePart[Death, Delivery], room: ReplyRoom) -> dict[Death, Event]:
    """The end of each letter; those of a shard are read together."""
    found: dict[Death, Event] = {}
    for shard in shards:
        own = [(death, one) for death, one in zip(page.keys, page.items, strict=True) if death.shard == shard.number]
        if own:
            ends = ends_of(shard, [letter for _, letter in own], room)
            found.update((death, end.event_view(shard.log.id)) for (death, _), end in zip(own, ends, strict=True))
    return found
