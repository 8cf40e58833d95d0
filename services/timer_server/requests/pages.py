"""Pages over several shards: what each server has found of one in its own, and how the page of all is made of those.

There may be more behind the end of each part, and that may come before what another part has. So the page of all ends
where the first part ends that does not go on to the end of its shards. Nothing is left out, and nothing is there twice.
"""

from collections.abc import Iterable, Sequence
from heapq import merge
from itertools import islice, takewhile
from operator import itemgetter
from typing import Any, Generic, TypeVar

from msgspec import Struct

K = TypeVar("K")
T = TypeVar("T")


class PagePart(Struct, Generic[K, T], frozen=True):
    """What some shards hold, in the order of keys: all up to `next`, or to the end where that is None."""

    keys: list[K]
    items: list[T]
    next: K | None


def merged(parts: Sequence[PagePart[K, T]], limit: int) -> PagePart[K, T]:
    """The page of up to `limit` items that several parts come to, each of which was made for that limit."""
    if len(parts) == 1:
        return parts[0]
    lines = [zip(part.keys, part.items, strict=True) for part in parts]
    in_order: Iterable[tuple[K, T]] = merge(*lines, key=itemgetter(0))
    end: Any = min((part.next for part in parts if part.next is not None), default=None)  # type: ignore[type-var]
    if end is not None:
        in_order = takewhile(lambda pair: pair[0] <= end, in_order)
    found = list(islice(in_order, limit + 1))
    if len(found) > limit:
        del found[limit]
        end = found[-1][0]
    return PagePart([key for key, _ in found], [item for _, item in found], end)
