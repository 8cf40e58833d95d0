"""The sender of a message, with its rights and the prefix of the ids it may touch."""

from typing import ClassVar, Final, Literal, get_args

Right = Literal["read", "start", "change", "take", "admin"]

ALL_RIGHTS: frozenset[Right] = frozenset(get_args(Right))

DEFAULT_RIGHTS = ALL_RIGHTS - {"admin"}
"""The rights of a key of whose rights nothing is said: those of a client that starts, changes, hears and handles."""


class Sender:
    """A client and what it may do: `name` is that of its key, `prefix` what the ids it may touch begin with.

    `max_timers` is how many timers may be pending below the prefix, None where the key's file does not say it.
    `is_restricted` is false if it may do everything; a plain attribute, since each request looks at it.
    """

    __slots__ = ("is_restricted", "max_timers", "name", "prefix", "rights")

    credential: ClassVar[str] = "this client's key"
    """What it is known by, as it is told why a request is refused."""

    def __init__(self, name: str, prefix: str, rights: frozenset[Right], max_timers: int | None = None) -> None:
        self.name: Final = name
        self.prefix: Final = prefix
        self.rights: Final = rights
        self.max_timers: Final = max_timers
        self.is_restricted: Final = bool(prefix) or rights != ALL_RIGHTS

    @property
    def hears_all(self) -> bool:
        """Whether this sender may subscribe to every topic."""
        return "read" in self.rights and not self.prefix

    def may_the_same_as(self, other: "Sender") -> bool:
        """Whether prefix and rights are equal, whatever the names."""
        return (self.prefix, self.rights) == (other.prefix, other.rights)


EVERYBODY = Sender("everybody", "", ALL_RIGHTS)
"""The sender of all messages where encryption is off."""

NOBODY = Sender("nobody", "", frozenset())
"""The sender of messages that are refused: its key is no longer allowed, or its socket has named itself."""
