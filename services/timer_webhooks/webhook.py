"""A webhook: what an endpoint is told about the end of a timer."""

import base64
import hashlib
from datetime import UTC

import msgspec
from msgspec import Struct

from timer_protocol.civil_clocks import from_ms
from timer_protocol.messages import Timer

ID_PREFIX = "end_"
_ID_BYTES = 24

_encode = msgspec.json.Encoder().encode


class Webhook(Struct, frozen=True):
    """An id, the same in each attempt, and the body."""

    id: str
    body: bytes


class _Body(Struct, frozen=True):
    type: str
    timestamp: str
    data: Timer


def webhook_of(timer: Timer) -> Webhook:
    """The webhook of a timer that has ended. Whoever makes it anew, whenever, gets the same one."""
    at_ms = timer.ended_at_ms
    assert at_ms is not None
    timestamp = from_ms(at_ms, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Webhook(webhook_id(timer.id, timer.version, at_ms), _encode(_Body(f"timer.{timer.state}", timestamp, timer)))


def webhook_id(timer_id: str, version: int, at_ms: int) -> str:
    """The id of the webhook of an end. The log of the end is no part of it, as that changes with a restored copy.

    It is a digest, since nobody may choose what is signed, and a full stop in it would be a fault.
    """
    named = _encode([timer_id, version, at_ms])
    return ID_PREFIX + base64.urlsafe_b64encode(hashlib.sha256(named).digest()[:_ID_BYTES]).decode()
