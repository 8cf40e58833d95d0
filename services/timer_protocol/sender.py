"""Who has sent a message, and what they may do: their rights, and the prefix of the ids they may touch."""

from typing import Final, Literal, get_args

Right = Literal["read", "start", "change", "take", "admin"]

ALL_RIGHTS: frozenset[Right] = frozenset(get_args(Right))


class Sender:
    """A client as the rules see it: `name` is that of its key, `prefix` what the ids it may touch begin with.

    `is_restricted` is false for who may do everything. It is a plain attribute since each request looks at it.
    """

    __slots__ = ("is_restricted", "name", "prefix", "rights")

    def __init__(self, name: str, prefix: str, rights: frozenset[Right]) -> None:
        self.name: Final = name
        self.prefix: Final = prefix
        self.rights: Final = rights
        self.is_restricted: Final = bool(prefix) or rights != ALL_RIGHTS

    @property
    def hears_all(self) -> bool:
        """Whether every subscription of this sender is put into force as it is."""
        return "read" in self.rights and not self.prefix

    def may_the_same_as(self, other: "Sender") -> bool:
        """Whether prefix and rights are equal, whatever the names."""
        return (self.prefix, self.rights) == (other.prefix, other.rights)


EVERYBODY = Sender("everybody", "", ALL_RIGHTS)
"""The sender of every message where no keys are wanted."""

NOBODY = Sender("nobody", "", frozenset())
"""A sender who is refused whatever it asks: its key is allowed no longer, or its socket has named itself."""
