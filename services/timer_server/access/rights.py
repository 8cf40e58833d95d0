"""What a key that is bound to a prefix may ask: its requests are narrowed to what lies under it, or refused."""

from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from timer_protocol.durations import NS_PER_MS
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.frames import BEAT_TOPIC
from timer_protocol.messages import ListParams, ReadEventsParams, StartParams
from timer_server.new_id import new_id

P = TypeVar("P", bound=Struct)


def narrow(params: P, prefix: str, now_ns: int) -> P:
    """The same request for one who may only touch ids that begin with `prefix`.

    A page is cut down to those, and a timer without an id gets one of them. Raises `Refusal` (not_permitted).
    """
    if not prefix:
        return params
    if isinstance(params, ListParams | ReadEventsParams):
        if prefix.startswith(params.prefix):
            return replace(params, prefix=prefix)
        _check(params.prefix, prefix)
        return params
    if isinstance(params, StartParams) and params.id is None:
        return replace(params, id=prefix + new_id(now_ns // NS_PER_MS))
    timer_id: Any = getattr(params, "id", None)
    if timer_id is not None:
        _check(timer_id, prefix)
    return params


def narrow_topic(topic: bytes, prefix: bytes) -> list[bytes]:
    """What to publish to a subscriber of `topic` who may only hear of ids that begin with `prefix`."""
    if not prefix:
        return [topic]
    topics = [BEAT_TOPIC] if BEAT_TOPIC.startswith(topic) else []
    if topic.startswith(prefix):
        topics.append(topic)
    elif prefix.startswith(topic):
        topics.append(prefix)
    return topics


def _check(asked: str, prefix: str) -> None:
    if not asked.startswith(prefix):
        raise Refusal(
            ErrorCode.NOT_PERMITTED,
            f"{asked!r} does not begin with {prefix!r}, which is all that this client's key is good for",
            prefix=prefix,
        )
