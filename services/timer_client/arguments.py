"""What a caller passes: an argument of the wrong kind is refused where it was passed, with what is allowed.

Kinds are checked here, by the types that the messages declare; values, such as how long a label may be, by the server.
"""

import math
from collections.abc import Iterator
from functools import lru_cache

from msgspec import Struct, inspect

from timer_client.errors import InvalidArgument

_KINDS: dict[type[inspect.Type], tuple[tuple[type, ...], str]] = {
    inspect.StrType: ((str,), "text"),
    inspect.LiteralType: ((str,), "text"),
    inspect.IntType: ((int,), "a whole number"),
    inspect.FloatType: ((int, float), "a number"),
    inspect.DictType: ((dict,), "a mapping"),
    inspect.NoneType: ((type(None),), "None"),
}


def wrong_kind(name: str, value: object, allowed: str) -> InvalidArgument:
    """The error for an argument that is not what it has to be."""
    return InvalidArgument(f"{name} is {shown(value)}, but must be {allowed}")


def check_kinds(params: Struct) -> None:
    """Raises `InvalidArgument` for the first value of another kind than its field declares."""
    for name, (types, allowed) in _kinds(type(params)).items():
        value = getattr(params, name)
        if not isinstance(value, types) or isinstance(value, bool):  # in Python, True is an int
            raise wrong_kind(name, value, allowed)


def finite_seconds(name: str, value: float) -> float:
    """A number of seconds. Raises `InvalidArgument` for what is none, or has no end."""
    try:
        seconds = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    except OverflowError:  # of an int
        seconds = math.inf
    if not math.isfinite(seconds):
        raise wrong_kind(name, value, "a finite number of seconds")
    return seconds


def shown(value: object) -> str:
    """A value as a sentence shows it: never too long, whatever its own `repr` does."""
    try:
        text = repr(value)
    except Exception:  # the sentence is about the value, not about its repr
        return "…"
    return text if len(text) <= 60 else text[:60] + "…"


@lru_cache
def _kinds(params: type[Struct]) -> dict[str, tuple[tuple[type, ...], str]]:
    """The types that each field takes, and how a sentence calls them; fields that take any JSON value are left out."""
    about = inspect.type_info(params)
    assert isinstance(about, inspect.StructType)
    kinds = {}
    for field in about.fields:
        found = {type(one) for one in _alternatives(field.type)}
        if inspect.FloatType in found:
            found.discard(inspect.IntType)  # which it takes as well
        taken = [_KINDS[one] for one in _KINDS if one in found]
        if taken:
            kinds[field.name] = sum((types for types, _ in taken), ()), " or ".join(words for _, words in taken)
    return kinds


def _alternatives(of: inspect.Type) -> Iterator[inspect.Type]:
    if isinstance(of, inspect.Metadata):
        yield from _alternatives(of.type)
    elif isinstance(of, inspect.UnionType):
        for one in of.types:
            yield from _alternatives(one)
    else:
        yield of
