"""Limits requests to the rights and the prefix of their sender: what reaches beyond is narrowed or refused."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.frames import BEAT_TOPIC, PLAN_TOPIC
from timer_protocol.methods import Method, Scope
from timer_protocol.queue_messages import PutQueueParams
from timer_protocol.sender import NOBODY, Sender

P = TypeVar("P", bound=Struct)


def narrow(
    method: Method | None, params: P, sender: Sender, make_id: Callable[[str], str], queue_prefix: str | None = None
) -> P:
    """The params of a request, narrowed to what its sender may do. Raises `Refusal` (not_permitted).

    `method` is the method's line in the table, None where it has none: that is refused. `make_id` makes an id that
    begins with a prefix, for a timer without one. `queue_prefix` is the prefix of the queue that the request names,
    which only the caller can look up.
    """
    if method is None:
        raise Refusal(ErrorCode.NOT_PERMITTED, "nothing is declared about who may call this method")
    if sender is NOBODY:
        raise Refusal(ErrorCode.NOT_PERMITTED, "this client's key is allowed no longer, or its socket has named itself")
    if method.right is not None and method.right not in sender.rights:
        raise Refusal(
            ErrorCode.NOT_PERMITTED,
            f"{method.name} needs the right {method.right!r}, which {sender.credential} does not have",
            right=method.right,
        )
    if not sender.prefix:
        return params
    narrowed: P = with_prefix(method.scope, params, sender, make_id, queue_prefix)
    return narrowed


def with_prefix(
    scope: Scope, params: Any, sender: Sender, make_id: Callable[[str], str], queue_prefix: str | None = None
) -> Any:
    """The params narrowed to ids that begin with the sender's prefix. Raises `Refusal` (not_permitted).

    A page is cut down to those ids, and a timer without an id gets one of them.
    """
    prefix = sender.prefix
    if scope == "prefix or ids":
        scope = "ids" if params.prefix is None else "prefix"
    if scope == "id" and params.id is None:
        return replace(params, id=make_id(prefix))
    if scope == "prefix" and prefix.startswith(params.prefix):
        return replace(params, prefix=prefix)
    for text in _touched(scope, params, queue_prefix):
        if not text.startswith(prefix):
            # the prefix of somebody else's queue is not told
            what = f"the prefix of queue {params.queue!r}" if scope == "queue" and text == queue_prefix else repr(text)
            raise Refusal(
                ErrorCode.NOT_PERMITTED,
                f"{what} does not begin with {prefix!r}, which is all that {sender.credential} is good for",
                prefix=prefix,
            )
    return params


def narrow_topic(topic: bytes, sender: Sender) -> list[bytes]:
    """What `sender` gets when it subscribes to `topic`: topics of timers and plans below its prefix, and the beat."""
    if sender is NOBODY:
        return []
    if sender.hears_all:
        return [topic]
    topics = [BEAT_TOPIC] if BEAT_TOPIC.startswith(topic) else []
    prefix = sender.prefix.encode()
    if "read" not in sender.rights:
        return topics
    for allowed in (prefix, PLAN_TOPIC + prefix):
        if topic.startswith(allowed):
            topics.append(topic)
        elif allowed.startswith(topic):
            topics.append(allowed)
    return topics


def _touched(scope: Scope, params: Any, queue_prefix: str | None) -> Sequence[str]:
    """The ids, or prefixes of ids, that a request names."""
    match scope:
        case "id":
            return (params.id,)
        case "ids" | "prefix or ids":
            ids: Sequence[str] = params.ids or ()
            return ids
        case "prefix":
            return (params.prefix,)
        case "queue":
            before = queue_prefix or ""
            return (before, params.prefix) if isinstance(params, PutQueueParams) else (before,)
        case "plan":
            return (params.plan,)
        case "none":
            return ()
