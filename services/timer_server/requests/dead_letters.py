"""Dead letters over all shards, in the order in which they died, and what may be done with them."""

import re
from collections.abc import Iterable, Sequence
from heapq import merge
from itertools import islice
from typing import NamedTuple

from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.messages import Event
from timer_protocol.queue_messages import DeadLetter, DeadMoved, DeadPage, DeadParams, MoveDeadParams
from timer_server.core.queues.deliveries import Delivery
from timer_server.core.queues.receipts import Receipts
from timer_server.core.room import ENTRY_BYTES
from timer_server.limits import PAGE_BYTES
from timer_server.requests.deliveries import events_of
from timer_server.requests.placement import Shards
from timer_server.requests.queue_receipts import Part, by_shard, outcome
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


class DeadPart(NamedTuple):
    """The dead letters of one shard after a death, in order, and whether there are more."""

    letters: list[tuple[Death, Delivery]]
    has_more: bool


def letters_of(shard: Shard, queue: str, after: Death, most: int) -> DeadPart:
    """Up to `most` dead letters of one shard that died after a death, which may be that of another shard."""
    if shard.queues.standing(queue) is None:
        return DeadPart([], has_more=False)
    if shard.number == after.shard:
        death = after.death
    else:  # of those that died in the same millisecond, shards are in the order of their numbers
        death = shard.queues.deaths_before(queue, after.died_at_ms + (shard.number < after.shard))
    found, following = shard.queues.dead(queue, death, most)
    return DeadPart(
        [(Death(letter.at_ms, shard.number, death), letter) for death, letter in found], following is not None
    )


def merged(parts: Sequence[DeadPart], most: int) -> DeadPart:
    """The first `most` letters of several shards."""
    if len(parts) == 1:
        return parts[0]
    letters = list(islice(merge(*(part.letters for part in parts)), most))
    has_more = any(part.has_more for part in parts) or sum(len(part.letters) for part in parts) > len(letters)
    return DeadPart(letters, has_more)


class DeadLetterMethods:
    """The methods about dead letters."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    def dead(self, params: DeadParams, _: int, room: ReplyRoom) -> DeadPage:
        """A page of dead letters. Large payloads end it early."""
        page = self._page(params)
        letters: list[tuple[Death, Delivery]] = []
        page_bytes, has_more = min(PAGE_BYTES, room.left_bytes), page.has_more
        for death, letter in page.letters:
            if letters and page_bytes < letter.payload_bytes:
                has_more = True
                break
            letters.append((death, letter))
            page_bytes -= letter.payload_bytes
        events = self._events(letters, room)
        dead = [
            DeadLetter(receipt, letter.attempts, letter.reason, letter.at_ms, events[death])
            for (death, letter), receipt in zip(letters, self._receipts(params.queue, letters), strict=True)
        ]
        return DeadPage(dead, letters[-1][0].cursor() if has_more else None)

    def revive(self, params: MoveDeadParams, now_ns: int, _: ReplyRoom) -> DeadMoved:
        """Makes dead letters ready again."""
        receipts, parts, after = self._chosen(params)
        for part in parts:
            part.shard.engine.take_room(ENTRY_BYTES)

        def revive(part: Part) -> Sequence[int]:
            return part.shard.queues.revive(params.queue, part.known(), part.shard.at(now_ns)).done

        return DeadMoved(*outcome(receipts, parts, revive), after)

    def drop(self, params: MoveDeadParams, now_ns: int, _: ReplyRoom) -> DeadMoved:
        """Forgets dead letters."""
        receipts, parts, after = self._chosen(params)

        def drop(part: Part) -> Sequence[int]:
            return part.shard.queues.drop(params.queue, part.known(), part.shard.at(now_ns)).done

        return DeadMoved(*outcome(receipts, parts, drop), after)

    # Parts

    def _page(self, params: DeadParams | MoveDeadParams) -> DeadPart:
        self._shards.of(params.queue).queues.find(params.queue)
        after, limit = death_at(params.after), params.limit
        return merged([letters_of(shard, params.queue, after, limit) for shard in self._shards.all()], limit)

    def _chosen(self, params: MoveDeadParams) -> tuple[Sequence[str], list[Part], str | None]:
        """The receipts of the dead letters that are meant, by shard too, and the cursor to go on after."""
        if params.receipts is not None:
            if params.after is not None:
                raise Refusal(ErrorCode.INVALID_PARAMS, "either receipts or after: it goes on with a page of all")
            home = self._shards.of(params.queue)
            home.queues.find(params.queue)
            return params.receipts, by_shard(self._shards, home, params.queue, params.receipts), None
        page = self._page(params)
        receipts = self._receipts(params.queue, page.letters)
        after = page.letters[-1][0].cursor() if page.has_more else None
        return receipts, by_shard(self._shards, self._shards.of(params.queue), params.queue, receipts), after

    def _receipts(self, queue: str, letters: Iterable[tuple[Death, Delivery]]) -> list[str]:
        of = {shard.number: Receipts(shard.log.id, queue) for shard in self._shards.owned}
        return [of[death.shard].text(letter.number) for death, letter in letters]

    def _events(self, letters: Sequence[tuple[Death, Delivery]], room: ReplyRoom) -> dict[Death, Event]:
        """The end of each letter; those of a shard are read together."""
        found: dict[Death, Event] = {}
        for shard in self._shards.owned:
            own = [(death, letter) for death, letter in letters if death.shard == shard.number]
            if own:
                events = events_of(shard, [letter for _, letter in own], room)
                found.update(zip((death for death, _ in own), events, strict=True))
        return found
