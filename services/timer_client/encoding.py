"""What calls send, as JSON: everything that JSON cannot hold is refused, with the place where it stands.

msgspec alone would turn some values into others without a word: a number that is not finite into null, bytes and
datetimes into text, a set into an array, a key that is a number into text.
"""

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw, Struct

from timer_client.errors import InvalidArgument
from timer_protocol.limits import PAYLOAD_DEPTH

_encoder = msgspec.json.Encoder()


def encoded(params: Struct) -> Raw:
    """The params of a request as JSON. Raises `InvalidArgument`."""
    try:
        body = _encoder.encode(params)
    except Exception as error:  # also what the values themselves raise while they are read
        _refuse(params)
        raise InvalidArgument(f"the arguments cannot be written as JSON: {error}") from None
    if not _is_read_as_given(body, params):
        _refuse(params)
    return Raw(body)


def finite_seconds(name: str, value: float) -> float:
    """A number of seconds. Raises `InvalidArgument` for what is none, or has no end."""
    try:
        seconds = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:  # of an int
        seconds = math.inf
    if not math.isfinite(seconds):
        raise InvalidArgument(f"{name} is {_shown(value)}, but must be a finite number of seconds")
    return seconds


def text_bytes(name: str, text: str) -> bytes:
    """A text in UTF-8. Raises `InvalidArgument`."""
    if not isinstance(text, str):
        raise InvalidArgument(f"{name} is {_shown(text)}, but must be text")
    for fault in _faults(text, name, 0):
        raise InvalidArgument(fault)
    return text.encode()


def _is_read_as_given(body: bytes, params: Struct) -> bool:
    """Whether reading the JSON gives equal values. Where it does not, looking at each value finds out why."""
    try:
        return bool(_decoder(type(params)).decode(body) == params)
    except Exception:  # values may raise what they like when they are compared
        return False


@lru_cache
def _decoder(of: type[Struct]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(of)


def _refuse(params: Struct) -> None:
    """Raises `InvalidArgument` for the first value that JSON cannot hold, if there is one."""
    for name in params.__struct_fields__:
        for fault in _faults(getattr(params, name), name, 0):
            raise InvalidArgument(fault)


def _faults(value: object, place: str, depth: int) -> Iterable[str]:
    """Sentences for what JSON cannot hold in a value, each with its place."""
    if value is None or isinstance(value, bool | int):
        return
    if isinstance(value, str):
        if not _is_unicode(value):
            yield f"{place} has half of a surrogate pair in it, which no UTF-8 can hold: {_shown(value)}"
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield f"{place} is {value}, but numbers must be finite"
    elif isinstance(value, dict | list | tuple):
        if depth >= PAYLOAD_DEPTH:
            yield f"{place[:40]}… is nested more than {PAYLOAD_DEPTH} deep, or contains itself"
        elif isinstance(value, dict):
            yield from _faults_of_members(value, place, depth)
        else:
            for number, item in enumerate(value):
                yield from _faults(item, f"{place}[{number}]", depth + 1)
    else:
        yield f"{place} is {_kind(value)}, which JSON has not: {_shown(value)}"


def _faults_of_members(members: dict[object, object], place: str, depth: int) -> Iterable[str]:
    for key, value in members.items():
        if not isinstance(key, str):
            yield f"{place} has {_kind(key)} as a key, but keys must be text: {_shown(key)}"
        elif not _is_unicode(key):
            yield f"{place} has a key with half of a surrogate pair in it, which no UTF-8 can hold: {_shown(key)}"
        else:
            yield from _faults(value, f"{place}.{key}" if key.isidentifier() else f"{place}[{key!r}]", depth + 1)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _kind(value: object) -> str:
    """The type of a value with its article."""
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def _shown(value: object) -> str:
    try:
        shown = repr(value)
    except Exception:  # the sentence is about the value, not about its repr
        return "…"
    return shown if len(shown) <= 60 else shown[:60] + "…"
