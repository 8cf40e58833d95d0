"""The methods of the protocol: each asks the engine, reads the log where it must, and shapes the result."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from msgspec import Raw
from msgspec.structs import replace

from timer_protocol import PROTOCOL, __version__
from timer_protocol.codec import encode
from timer_protocol.durations import NS_PER_MS
from timer_protocol.limits import Limits
from timer_protocol.messages import (
    DiscoverParams,
    GetParams,
    InfoParams,
    ListParams,
    ReadEventsParams,
    ServerInfo,
    StartParams,
    Timer,
    TimerPage,
    WaitParams,
)
from timer_server.core.engine import TimerParams
from timer_server.requests.event_pages import read_or_wait
from timer_server.requests.event_parts import page_of as page_of_events
from timer_server.requests.listing import page_of, read_part
from timer_server.requests.many import ManyMethods
from timer_server.requests.openrpc import describe
from timer_server.requests.placement import Shards
from timer_server.requests.room import ReplyRoom
from timer_server.requests.servers import Servers
from timer_server.requests.shard import total
from timer_server.requests.standing import Standing, standing_of
from timer_server.requests.waits import WaitForEnd

Handler = Callable[[Any, int, ReplyRoom], object]
"""Applies a call, given its params, the time and the room in the reply; returns the result or a `Wait`.

May raise `Refusal`, and `StoreError`.
"""


@cache
def _document() -> Raw:
    return Raw(encode(describe()))


class Methods:
    """The methods on the shards of a server."""

    def __init__(self, shards: Shards, limits: Limits, servers: Servers) -> None:
        self._shards = shards
        self._servers = servers
        self._limits = limits
        self._many = ManyMethods(shards, limits)

    def handlers(self) -> Mapping[str, Handler]:
        """The handler of each method, by name."""
        only = self._shards.only
        start, timer = (self.start, self.timer) if only is None else (only.timer, only.timer)
        return {
            "timer.start": start,
            "timer.get": timer,
            "timer.list": self.list_timers,
            "timer.pause": timer,
            "timer.resume": timer,
            "timer.cancel": timer,
            "timer.extend": timer,
            "timer.restart": timer,
            "timer.start_many": self._many.start,
            "timer.change_many": self._many.change,
            "timer.wait": self.wait,
            "events.read": self.read_or_wait,
            "server.info": self.info,
            "rpc.discover": self.discover,
        }

    def start(self, params: StartParams, now_ns: int, room: ReplyRoom) -> Timer:
        """Starts a timer, under an id of a shard that this server owns where it is given none."""
        if params.id is None:
            params = replace(params, id=self._shards.new_id(now_ns // NS_PER_MS))
        return self.timer(params, now_ns, room)

    def timer(self, params: TimerParams, now_ns: int, room: ReplyRoom) -> Timer:
        """Applies any request about one timer that has an id, in its shard."""
        assert params.id is not None
        return self._shards.of(params.id).timer(params, now_ns, room)

    def list_timers(self, params: ListParams, now_ns: int, room: ReplyRoom) -> TimerPage:
        """A page of timers."""
        return page_of([read_part(self._shards.all(), self._shards.count, params, now_ns, room)], params)

    def wait(self, params: WaitParams, now_ns: int, room: ReplyRoom) -> Timer | WaitForEnd:
        """The timer if it has ended or there is no time to wait; otherwise the wait for its end."""
        get, shard = GetParams(params.id), self._shards.of(params.id)
        timer = shard.timer(get, now_ns, room)
        if timer.ended or params.wait_ms == 0:
            return timer
        return WaitForEnd(
            until_ns=now_ns + params.wait_ms * NS_PER_MS,
            woken=lambda event, then_ns, _: event.view(shard.at(then_ns) // NS_PER_MS),
            timed_out=lambda then_ns, room: self.timer(get, then_ns, room),
            timer_id=params.id,
            after_seq=shard.engine.last_seq,
        )

    def read_or_wait(self, params: ReadEventsParams, now_ns: int, room: ReplyRoom) -> object:
        """A page of events if there is something to tell; otherwise the wait for an event."""
        shards = self._shards
        return read_or_wait(
            shards.all, shards.of, params, now_ns, room, lambda part, asked: page_of_events([part], asked)
        )

    def info(self, params: InfoParams, now_ns: int, _: ReplyRoom) -> ServerInfo:
        """The server about itself, and how its own shards or all of them stand."""
        shards = self._shards.owned if params.own else self._shards.all()
        return self.info_of([standing_of(shards, now_ns)])

    def info_of(self, parts: Sequence[Standing]) -> ServerInfo:
        """The server about itself, and how all shards stand."""
        logs = {log_id: standing for part in parts for log_id, standing in part.logs.items()}
        return ServerInfo(
            version=__version__,
            protocol=PROTOCOL,
            logs=logs,
            cursor={log_id: standing.seq for log_id, standing in logs.items()},
            counts=total([part.counts for part in parts]),
            limits=self._limits,
            plans=sum(part.plans for part in parts),
            tzdata=parts[0].tzdata,
            servers=self._servers.listed,
            servers_version=self._servers.version,
            unreachable=self._servers.unreachable,
        )

    def discover(self, _: DiscoverParams, __: int, room: ReplyRoom) -> Raw:
        """The OpenRPC document."""
        document = _document()
        room.left_bytes -= len(document)
        return document
