"""Who sends a request to the gateway, and what that caller may do."""

from typing import Final

from timer_protocol.sender import ALL_RIGHTS, Right, Sender


class Caller(Sender):
    """The sender of an HTTP request, as its token tells it: name, prefix and rights.

    `digest` is the SHA-256 of the token, and empty where none was asked for.
    """

    __slots__ = ("digest",)

    credential = "this token"

    def __init__(self, name: str, prefix: str, rights: frozenset[Right], digest: str) -> None:
        super().__init__(name, prefix, rights)
        self.digest: Final = digest

    def is_same(self, other: "Caller | None") -> bool:
        """Whether the other is the caller of the same token, and may do the same."""
        if other is None or (self.digest, self.name) != (other.digest, other.name):
            return False
        return self.may_the_same_as(other)


ANYBODY = Caller("anybody", "", ALL_RIGHTS, "")
"""The caller of all requests where nobody is asked for a token."""
