"""Notices who has fallen silent. No socket and no clock."""

from collections.abc import Iterable

SILENCE_S = 3.0
"""A beat comes every second; after this long without one there is something wrong."""


class Vigil:
    """Watches over those who are to be heard of every second.

    Only the time spent listening counts, and it is told: a program that is busy with an event for a minute, while beats
    gather, has not heard silence.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._now_s = 0.0
        self.begin(names)

    def begin(self, names: Iterable[str]) -> None:
        """Watches over these, and no others, as if all had just been heard of."""
        self._heard_at_s = dict.fromkeys(names, self._now_s)
        self._due_s = self._now_s + SILENCE_S
        """Nobody can be silent before this. It is made anew when it has come, not each time that somebody is heard."""

    def hear(self, name: str) -> None:
        """Notes that one of them was heard of."""
        if name in self._heard_at_s:
            self._heard_at_s[name] = self._now_s

    def listen(self, listened_s: float) -> None:
        """Lets time pass."""
        self._now_s += listened_s

    @property
    def left_s(self) -> float:
        """How long nobody can be silent yet."""
        return max(self._due_s - self._now_s, 0)

    def take_silent(self) -> list[str]:
        """Those that are silent by now. For them it begins anew."""
        if self._now_s < self._due_s:
            return []
        silent = [name for name, heard_at_s in self._heard_at_s.items() if heard_at_s + SILENCE_S <= self._now_s]
        for name in silent:
            self._heard_at_s[name] = self._now_s
        self._due_s = min(self._heard_at_s.values(), default=self._now_s) + SILENCE_S
        return silent
