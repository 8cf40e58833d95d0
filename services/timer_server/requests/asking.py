"""What a dialogue asks of several shards, within the room that is left in its reply, and what it is told.

The servers answer at the same time. So the room is divided among them by their shards before they are asked, and each
tells what it has taken of its part.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from timer_protocol.errors import Refusal
from timer_server.limits import PAGE_BYTES, SCAN_MAXIMUM
from timer_server.requests.gathering import Ask, PartHandler, Told
from timer_server.requests.room import ReplyRoom
from timer_server.requests.shard import Shard
from timer_server.requests.waits import EventWait, Wait, WaitInLine

P = TypeVar("P")
R = TypeVar("R")


class Asked(Struct, Generic[P], frozen=True, array_like=True):
    """The params of a question, and the room that its answer may take."""

    params: P
    left_bytes: int
    left_entries: int

    def room(self) -> ReplyRoom:
        """That room."""
        room = ReplyRoom()
        room.left_bytes, room.left_entries = self.left_bytes, self.left_entries
        return room


class Answered(Struct, Generic[R], frozen=True, array_like=True):
    """An answer, and what it has taken of its room. It is true where it came to something: others need not answer."""

    value: R
    bytes: int
    entries: int

    def __bool__(self) -> bool:
        return bool(self.value)


class NoParams(Struct, frozen=True):
    """Nothing more is to be said."""


class PartMethod(NamedTuple):
    """How a question is answered for some shards of one server: the types of params and answer, and what makes it."""

    params: Any
    value: Any
    apply: Callable[[Sequence[Shard], Any, int, ReplyRoom], object]

    @property
    def asked(self) -> Any:
        """The type of the params as they are sent."""
        return _of_any(Asked, self.params)

    @property
    def answered(self) -> Any:
        """The type of the answer as it is sent."""
        return _of_any(Answered, self.value)

    def handler(self) -> PartHandler:
        """What answers the question. It takes nothing of the room that it is given: whoever asks counts that."""

        def handle(shards: Sequence[Shard], asked: Any, now_ns: int, _: ReplyRoom) -> object:
            room = asked.room()
            value = self.apply(shards, asked.params, now_ns, room)
            return _waiting(value, asked, room) if isinstance(value, Wait) else _answered(value, asked, room)

        return handle


PartMethods = Mapping[str, PartMethod]
"""All questions that servers ask each other about several shards, by name."""


class Asking:
    """Asks about the shards of a store, on behalf of one request."""

    def __init__(self, count: int, room: ReplyRoom) -> None:
        """`count` shards are in the store, and `room` is left in the reply to the request."""
        self.all = frozenset(range(count))
        self.room = room
        self.so_far: object = None
        """What is answered where the time runs out; None is a refusal."""
        self.is_over = False
        """Whether the time has run out."""

    def ask(
        self,
        method: str,
        params_for: Callable[[frozenset[int]], Struct],
        numbers: frozenset[int] | None = None,
        is_first_enough: bool = False,
        page_bytes: int = PAGE_BYTES,
    ) -> Ask:
        """A question about all shards, or some. `params_for` makes the params for those of one server."""
        numbers = self.all if numbers is None else numbers
        left_bytes = max(min(page_bytes, self.room.left_bytes), 0)
        left_entries = max(min(SCAN_MAXIMUM, self.room.left_entries), 0)

        def asked(some: frozenset[int]) -> Struct:
            part, whole = len(some), max(len(numbers), 1)
            return Asked(params_for(some), left_bytes * part // whole, max(left_entries * part // whole, 1))

        return Ask(numbers, method, asked, is_first_enough)

    def same(self, method: str, params: Struct, numbers: frozenset[int] | None = None) -> Ask:
        """A question whose params are the same for all servers."""
        return self.ask(method, lambda _: params, numbers)

    def values(self, told: Sequence[Told]) -> list[Any]:
        """The answers, once all are there. Raises the first `Refusal` among them."""
        return [value for _, value in self.by_shards(told)]

    def by_shards(self, told: Sequence[Told]) -> list[tuple[frozenset[int], Any]]:
        """The same, each with the shards that it is about."""
        values = [(one.shards, self.value(one)) for one in told]
        for _, value in values:
            if isinstance(value, Refusal):
                raise value
        return values

    def value(self, told: Told) -> Any:
        """One answer, which may be a `Refusal`. What it has taken is counted."""
        answered = told.value
        if isinstance(answered, Refusal):
            return answered
        assert isinstance(answered, Answered)
        self.room.left_bytes -= answered.bytes
        self.room.left_entries -= answered.entries
        return answered.value


def _of_any(generic: Any, argument: Any) -> Any:
    """A generic type with an argument that is known only here."""
    return generic[argument]


def _answered(value: object, asked: Asked[Any], room: ReplyRoom) -> Answered[Any]:
    return Answered(value, asked.left_bytes - room.left_bytes, asked.left_entries - room.left_entries)


def _waiting(wait: Wait, asked: Asked[Any], room: ReplyRoom) -> Wait:
    """A wait of which the answer takes its part of the room."""

    def answered(value: object) -> object:
        return value if value is None or isinstance(value, Refusal) else _answered(value, asked, room)

    timed_out = wait.timed_out
    wait = replace(wait, timed_out=lambda now_ns, _: answered(timed_out(now_ns, room)))
    if isinstance(wait, EventWait):
        woken = wait.woken
        return replace(wait, woken=lambda event, now_ns, _: answered(woken(event, now_ns, room)))
    assert isinstance(wait, WaitInLine)
    take = wait.take
    return replace(wait, take=lambda now_ns, _: answered(take(now_ns, room)))
