"""What calls send, as JSON: everything that JSON cannot hold is refused, with the place where it stands.

msgspec alone would turn some values into others without a word: a number that is not finite into null, bytes and
datetimes into text, a set into an array, a key that is a number into text. What is a `str`, `int`, `float`, `list`,
`tuple` or `dict` in Python is sent as one, whatever its class: an `IntEnum` as a number, a named tuple as an array.
"""

import math
import sys
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw, Struct

from timer_client.arguments import check_kinds, shown, wrong_kind
from timer_client.errors import InvalidArgument
from timer_protocol.limits import PAYLOAD_DEPTH


def _plain(value: object) -> object:
    """The plain value of a text or number of a class that msgspec does not know."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    raise NotImplementedError(type(value))


_encoder = msgspec.json.Encoder(enc_hook=_plain)

_TRACES = frozenset({"trace", "traces"})
"""Members with values that are not plain ones, and of which those in them are looked at."""


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


def text_bytes(name: str, text: str) -> bytes:
    """A text in UTF-8. Raises `InvalidArgument`."""
    if not isinstance(text, str):
        raise wrong_kind(name, text, "text")
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
    """Raises `InvalidArgument` for the first value of a wrong kind or that JSON cannot hold, if there is one."""
    check_kinds(params)
    for name in params.__struct_fields__:
        value = getattr(params, name)
        for fault in _faults(msgspec.to_builtins(value) if name in _TRACES else value, name, 0):
            raise InvalidArgument(fault)


def _faults(value: object, place: str, depth: int) -> Iterable[str]:
    """Sentences for what JSON cannot hold in a value, each with its place."""
    if not isinstance(value, dict | list | tuple):
        fault = _fault(value)
        if fault is not None:
            yield f"{place} {fault}"
    elif depth >= PAYLOAD_DEPTH:
        yield f"{place[:40]}… is nested more than {PAYLOAD_DEPTH} deep, or contains itself"
    elif isinstance(value, dict):
        yield from _faults_of_members(value, place, depth)
    else:
        for number, item in enumerate(value):
            yield from _faults(item, f"{place}[{number}]", depth + 1)


def _fault(value: object) -> str | None:
    """What keeps JSON from holding a value that contains no others."""
    if isinstance(value, str):
        return (
            None
            if _is_unicode(value)
            else f"has half of a surrogate pair in it, which no UTF-8 can hold: {shown(value)}"
        )
    if isinstance(value, float):
        return None if math.isfinite(value) else f"is {float(value)}, but numbers must be finite"
    if isinstance(value, int):
        return None if _is_writable(value) else f"is a whole number of more than {sys.get_int_max_str_digits()} digits"
    return None if value is None else f"is {_kind(value)}, which JSON has not: {shown(value)}"


def _faults_of_members(members: dict[object, object], place: str, depth: int) -> Iterable[str]:
    for key, value in members.items():
        if not isinstance(key, str):
            yield f"{place} has {_kind(key)} as a key, but keys must be text: {shown(key)}"
        elif not _is_unicode(key):
            yield f"{place} has a key with half of a surrogate pair in it, which no UTF-8 can hold: {shown(key)}"
        else:
            yield from _faults(value, f"{place}.{key}" if key.isidentifier() else f"{place}[{key!r}]", depth + 1)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_writable(number: int) -> bool:
    try:
        int.__repr__(number)
    except ValueError:
        return False
    return True


def _kind(value: object) -> str:
    """The type of a value with its article."""
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
