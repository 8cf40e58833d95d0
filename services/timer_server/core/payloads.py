"""Payloads: any JSON that every reader can take, passed through as it came."""

from collections.abc import Sequence

from msgspec import ValidationError, json

from timer_protocol.errors import ErrorCode, Refusal, limit_reached
from timer_protocol.limits import PAYLOAD_DEPTH
from timer_protocol.plurals import counted

_decode = json.Decoder().decode

_CONTAINERS = (list, dict)


def check_payload(payload: bytes, max_payload_bytes: int) -> None:
    """Raises `Refusal` (limit_reached, invalid_params) unless readers of JSON can take the payload."""
    if len(payload) > max_payload_bytes:
        raise limit_reached("max_payload_bytes", max_payload_bytes, f"payload has {counted(len(payload), 'byte')}")
    try:
        value = _decode(payload)
    except (ValidationError, RecursionError) as error:
        raise Refusal(ErrorCode.INVALID_PARAMS, f"payload is JSON that readers cannot take: {error}") from None
    if isinstance(value, _CONTAINERS) and _depth(value) > PAYLOAD_DEPTH:
        raise Refusal(ErrorCode.INVALID_PARAMS, f"payload may nest objects and arrays {PAYLOAD_DEPTH} deep")


def are_sound_payloads(payloads: Sequence[bytes], max_payload_bytes: int) -> bool:
    """Whether `check_payload` takes each of some payloads, at least one. All are read as one JSON array."""
    if max(map(len, payloads)) > max_payload_bytes:
        return False
    array = b"[%b]" % b",".join(payloads)
    try:
        values = _decode(array)
    except (ValidationError, RecursionError):
        return False
    # Nothing is deeper than there are brackets, and mostly there are few.
    return array.count(b"[") + array.count(b"{") <= PAYLOAD_DEPTH or _depth(values) <= PAYLOAD_DEPTH + 1


def is_same_json(one: bytes, other: bytes) -> bool:
    """Whether two payloads are the same JSON value, however it is written."""
    return one == other or _canonical(one) == _canonical(other)


def _depth(value: object) -> int:
    """How deep objects and arrays are nested."""
    depth = 0
    level = [value]
    while containers := [item for item in level if isinstance(item, _CONTAINERS)]:
        depth += 1
        level = [child for item in containers for child in (item.values() if isinstance(item, dict) else item)]
    return depth


def _canonical(payload: bytes) -> bytes:
    return json.encode(_decode(payload), order="sorted")
