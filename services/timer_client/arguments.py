"""What a caller passes: an argument of the wrong kind is refused where it was passed, with what is allowed.

Kinds are checked here, by the types that the messages declare; values, such as how long a label may be, by the server.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeGuard, TypeVar

from msgspec import Struct, inspect

from timer_client.errors import InvalidArgument

S = TypeVar("S", bound=str)

_KINDS: dict[type[inspect.Type], tuple[tuple[type, ...], str]] = {
    inspect.StrType: ((str,), "text"),
    inspect.LiteralType: ((str,), "text"),
    inspect.IntType: ((int,), "a whole number"),
    inspect.FloatType: ((int, float), "a number"),
    inspect.DictType: ((dict,), "a mapping"),
    inspect.ListType: ((list,), "a list"),
    inspect.VarTupleType: ((tuple,), "a list"),
    inspect.BoolType: ((bool,), "True or False"),
    inspect.NoneType: ((type(None),), "None"),
}


def wrong_kind(name: str, value: object, allowed: str) -> InvalidArgument:
    """The error for an argument that is not what it has to be."""
    return InvalidArgument(f"{name} is {shown(value)}, but must be {allowed}")


def check_kinds(params: Struct, place: str = "") -> None:
    """Raises `InvalidArgument` for the first value of another kind than its field declares.

    `place` stands before the field's name in the sentence.
    """
    for name, (types, allowed) in _kinds(type(params)).items():
        value = getattr(params, name)
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):  # Python's True is an int
            raise wrong_kind(f"{place}{name}", value, allowed)


def several(name: str, values: object, allowed: str) -> list[Any]:
    """Some values as a list. Raises `InvalidArgument` for a single one, also a text, whose characters are not meant."""
    if not isinstance(values, Iterable) or isinstance(values, str | bytes | Mapping | Struct):
        raise wrong_kind(name, values, allowed)
    return [*values]


def texts(name: str, values: Iterable[S], allowed: str) -> list[S]:
    """Some texts as a list. Raises `InvalidArgument` for anything else, with its place."""
    found: list[S] = several(name, values, allowed)
    for place, value in enumerate(found):
        if not isinstance(value, str):
            raise wrong_kind(f"{name}[{place}]", value, "text")
    return found


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a number; in Python, True is an int."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def finite_seconds(name: str, value: float) -> float:
    """A number of seconds. Raises `InvalidArgument` for what is none, or has no end."""
    try:
        seconds = float(value) if is_number(value) else math.nan
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
        taken += [((one.cls,), f"a {one.cls.__name__}") for one in _alternatives(field.type) if _is_struct(one)]
        if taken:
            kinds[field.name] = sum((types for types, _ in taken), ()), " or ".join(words for _, words in taken)
    return kinds


def _is_struct(of: inspect.Type) -> TypeGuard[inspect.StructType]:
    return isinstance(of, inspect.StructType)


def _alternatives(of: inspect.Type) -> Iterator[inspect.Type]:
    if isinstance(of, inspect.Metadata):
        yield from _alternatives(of.type)
    elif isinstance(of, inspect.UnionType):
        for one in of.types:
            yield from _alternatives(one)
    else:
        yield of
