"""What a server answers another about timers, plans and events of several shards.

The answers are made by the functions that answer a client where all shards are here.
"""

from collections.abc import Sequence

from msgspec import Raw

from timer_protocol.many import ChangeManyParams, StartedMany, StartManyParams
from timer_protocol.messages import ListParams, ReadEventsParams
from timer_protocol.plan_messages import ListPlansParams, Plan
from timer_server.core.many import Changed
from timer_server.requests import event_pages, listing, many, plans
from timer_server.requests.asking import NoParams, PartMethod, PartMethods
from timer_server.requests.event_parts import EventsPart
from timer_server.requests.many_over_servers import ChosenParams
from timer_server.requests.pages import PagePart
from timer_server.requests.placement import finder
from timer_server.requests.room import ReplyRoom
from timer_server.requests.shard import Shard
from timer_server.requests.standing import Standing, standing_of


def timer_parts(count: int) -> PartMethods:
    """These questions, by name, in a store of `count` shards."""

    def list_timers(shards: Sequence[Shard], params: ListParams, now_ns: int, room: ReplyRoom) -> listing.TimersPart:
        return listing.read_part(shards, count, params, now_ns, room)

    def start_many(shards: Sequence[Shard], params: StartManyParams, now_ns: int, room: ReplyRoom) -> StartedMany:
        return many.start_part(many.Where.among(shards, count), params, now_ns, room)

    def change_many(shards: Sequence[Shard], asked: ChosenParams, now_ns: int, room: ReplyRoom) -> Changed:
        return many.change_part(many.Where.among(shards, count), asked.ids, asked.params, now_ns, room)

    def list_plans(
        shards: Sequence[Shard], params: ListPlansParams, now_ns: int, room: ReplyRoom
    ) -> PagePart[str, Plan]:
        return plans.read_part(shards, count, params, now_ns, room)

    def read_events(shards: Sequence[Shard], params: ReadEventsParams, now_ns: int, room: ReplyRoom) -> object:
        shard_of = finder(shards, count)
        return event_pages.read_or_wait(lambda: shards, shard_of, params, now_ns, room, lambda part, _: part)

    return {
        "shards.info": PartMethod(NoParams, Standing, lambda shards, _, now_ns, __: standing_of(shards, now_ns)),
        "shards.list": PartMethod(ListParams, PagePart[str, Raw], list_timers),
        "shards.list_due": PartMethod(ListParams, PagePart[int, Raw], list_timers),
        "shards.start_many": PartMethod(StartManyParams, StartedMany, start_many),
        "shards.select": PartMethod(ChangeManyParams, PagePart[str, None], _select),
        "shards.change_many": PartMethod(ChosenParams, Changed, change_many),
        "shards.plans": PartMethod(ListPlansParams, PagePart[str, Raw], list_plans),
        "shards.events": PartMethod(ReadEventsParams, EventsPart[Raw], read_events),
        "shards.await_events": PartMethod(ReadEventsParams, EventsPart[Raw], read_events),
    }


def _select(shards: Sequence[Shard], params: ChangeManyParams, _: int, room: ReplyRoom) -> PagePart[str, None]:
    selection = many.select_part(lambda: shards, params, room)
    return PagePart(selection.ids, [None] * len(selection.ids), selection.next)
