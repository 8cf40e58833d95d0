"""Finds those who want something by the prefix that they want it for."""

from collections.abc import Collection, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class PrefixIndex(Generic[T]):
    """Items by prefix. To find those for a text costs a look-up for each length of a prefix, however many they are."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[T, None]] = {}
        self._lengths: list[int] = []
        """The lengths of the prefixes, the shortest first."""
        self._common: str | None = None

    def __iter__(self) -> Iterator[T]:
        """All items."""
        for group in self._groups.values():
            yield from group

    def __bool__(self) -> bool:
        return bool(self._groups)

    @property
    def common(self) -> str:
        """What all prefixes begin with."""
        if self._common is None:
            self._common = _common_beginning(self._groups)
        return self._common

    def add(self, prefix: str, item: T) -> None:
        """Adds an item."""
        group = self._groups.get(prefix)
        if group is None:
            group = self._groups[prefix] = {}
            self._note_prefixes()
        group[item] = None

    def remove(self, prefix: str, item: T) -> None:
        """Takes an item out."""
        group = self._groups[prefix]
        del group[item]
        if not group:
            del self._groups[prefix]
            self._note_prefixes()

    def matching(self, text: str) -> Iterator[T]:
        """The items with a prefix that a text begins with."""
        for length in self._lengths:
            if length > len(text):
                return
            group = self._groups.get(text[:length])
            if group is not None:
                yield from group

    def _note_prefixes(self) -> None:
        self._lengths = sorted({len(prefix) for prefix in self._groups})
        self._common = None


def _common_beginning(texts: Collection[str]) -> str:
    """What all texts begin with; the first and the last in order differ the most."""
    first, last = min(texts, default=""), max(texts, default="")
    for place, character in enumerate(first):
        if last[place] != character:
            return first[:place]
    return first
