"""Dialogues about several shards, which may be owned by several servers: what is asked, and what is told of it.

A handler whose shards are not all here returns a `Gather`. Its dialogue yields questions. A runner sends each to the
owners of its shards, and resumes the dialogue with what they told; what the dialogue returns is the result.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from timer_protocol.errors import Refusal
from timer_server.requests.room import ReplyRoom
from timer_server.requests.shard import Shard
from timer_server.requests.waits import Wait


class Ask(Struct, frozen=True):
    """A question about some shards, which each owner answers for its own.

    `params_for` makes the params for those of the shards that one server owns. With `is_first_enough` the dialogue goes
    on with the first answer that is true, as a refusal is; the others are cancelled.
    """

    shards: frozenset[int]
    method: str
    params_for: Callable[[frozenset[int]], Struct]
    is_first_enough: bool = False


class Told(Struct, frozen=True):
    """What one owner told about some of the shards of a question: a result of the method's type, or a `Refusal`."""

    shards: frozenset[int]
    value: object | Refusal


Dialogue = Generator[Ask | Sequence[Ask], list[Told], object]
"""Yields one question, or several that are asked at the same time, and is sent all that was told about them.

What it returns is the result of the request. It may raise `Refusal`.
"""


class Gather(Wait, frozen=True, kw_only=True):
    """Wait for a dialogue to come to its result. `timed_out` says what is answered where it does not by `until_ns`;
    with None that is refused.

    `holds` says that nothing which the connection asks later is applied between the questions of the dialogue.
    """

    dialogue: Dialogue
    holds: bool = False


PartHandler = Callable[[Sequence[Shard], object, int, ReplyRoom], object]
"""Answers a question for some shards of this server, given its params, the time and the room in the reply.

Returns the result or a `Wait`. May raise `Refusal` and `StoreError`.
"""


class PartKind(Protocol):
    """How a question is asked and answered."""

    @property
    def asked(self) -> Any:
        """The type of its params."""

    @property
    def answered(self) -> Any:
        """The type of its results."""

    def handler(self) -> PartHandler:
        """What answers it."""


PartKinds = Mapping[str, PartKind]
"""All questions, by the names of their methods."""
