"""What the streams ask the server, decoded as far as they need it."""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from timer_client.calls import Call
from timer_gateway.streams.cursors import Positions
from timer_gateway.streams.pages import EncodedPage
from timer_protocol.limits import PAGE_MAXIMUM
from timer_protocol.messages import LogStanding, ReadEventsParams


class Standing(Struct):
    """Where the logs end, and their clocks: the part of `ServerInfo` that is needed."""

    cursor: dict[str, int]
    logs: dict[str, LogStanding]


STANDING: Final[Call[Standing]] = Call("server.info", Raw(b"{}"), Standing)


def page_after(cursor: Positions, topic_prefix: str, wait_ms: int = 0) -> Call[EncodedPage]:
    """The page of events whose topics begin with a prefix. Others of the same ids may be among them."""
    id_prefix = topic_prefix.partition(" ")[0]
    params = ReadEventsParams(dict(cursor), id_prefix, PAGE_MAXIMUM, wait_ms)
    return Call("events.read", Raw(msgspec.json.encode(params)), EncodedPage, wait_ms)
