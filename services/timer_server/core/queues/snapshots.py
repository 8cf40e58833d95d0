"""Snapshots: all that a queue holds, in entries of bounded size, so that its older entries are needed no more.

A snapshot is of the moment at which its first entry is made. What comes after is frozen then, so that the queue can go
on between the entries. On reading, changes behind the first entry wait until the last has come.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from msgspec import Struct, msgpack

from timer_server.core.entries import Part
from timer_server.core.queues.changes import Begin, Change, Filling, Settings
from timer_server.core.queues.deliveries import Delivery
from timer_server.core.queues.leases import Take
from timer_server.core.queues.state import Common, QueueState

DELIVERIES_A_PART = 250
RECEIPTS_A_PART = 4_000
TAKES_A_PART = 250

T = TypeVar("T")


class QueueHead(Struct, frozen=True, array_like=True, tag=20):
    """What a snapshot begins with: all that is not a list."""

    settings: Settings
    version: int
    dropped: int
    last_death: int
    filling: Filling | None
    next_number: int
    made: int = 0
    begin: Begin = "now"


class NewEnds(Struct, frozen=True, array_like=True, tag=21):
    """Ends that were never delivered, by columns."""

    ends: tuple[list[int], list[int], list[int]]
    is_later: bool


class Leased(Struct, frozen=True, array_like=True, tag=22):
    deliveries: Sequence[Delivery]


class Waits(Struct, frozen=True, array_like=True, tag=23):
    """Deliveries that are ready or delayed."""

    deliveries: Sequence[Delivery]


class Dead(Struct, frozen=True, array_like=True, tag=24):
    """Dead letters, each with the number of its death."""

    letters: Sequence[tuple[int, Delivery]]


class Remembered(Struct, frozen=True, array_like=True, tag=25):
    """Settled receipts of one generation."""

    generation: int
    is_ack: bool
    numbers: Sequence[int]


class KeysOfTakes(Struct, frozen=True, array_like=True, tag=26):
    takes: Sequence[tuple[str, Take]]


class Numbers(Struct, frozen=True, array_like=True, tag=27):
    """The next number of a lease: what has to outlive the queues of a log. It has entries under an empty name."""

    next: int


Piece = QueueHead | NewEnds | Leased | Waits | Dead | Remembered | KeysOfTakes | Numbers
"""A part of a snapshot."""

encode = msgpack.Encoder().encode
"""The body of an entry."""

decode: Callable[[bytes], Change | Piece] = msgpack.Decoder(Change | Piece).decode
"""What is in the body of an entry. Raises `msgspec.ValidationError` and `msgspec.DecodeError` for other bytes."""


class Snapshot:
    """A snapshot that is being made, of a queue as it is now."""

    def __init__(self, state: QueueState) -> None:
        self._pieces = _pieces(state)
        self._next: Piece | None = next(self._pieces)
        self._is_begun = False

    @property
    def is_complete(self) -> bool:
        """Whether all of it was handed out."""
        return self._next is None

    def take(self) -> tuple[Part, bytes]:
        """The next of its entries."""
        piece, self._next = self._next, next(self._pieces, None)
        if self._is_begun:
            part = Part.LAST if self._next is None else Part.CHANGE
        else:
            part = Part.WHOLE if self._next is None else Part.FIRST
        self._is_begun = True
        return part, encode(piece)


def state_of(name: str, head: QueueHead, common: Common) -> QueueState:
    """The queue of a snapshot's head, which holds nothing yet."""
    state = QueueState(name, head.settings, common)
    state.version, state.dropped, state.filling = head.version, head.dropped, head.filling
    state.made, state.begin = head.made, head.begin
    state.dead.last_death = head.last_death
    common.next_number = max(common.next_number, head.next_number)
    return state


def add_piece(state: QueueState, piece: Piece) -> None:
    """Adds what a part of a snapshot holds."""
    match piece:
        case NewEnds():
            ends = state.later if piece.is_later else state.new
            for place, moment_ms, size in zip(*piece.ends, strict=True):
                ends.append(place, moment_ms, size)
        case Leased():
            state.leases.load(piece.deliveries)
            state.common.held.hold(delivery.place for delivery in piece.deliveries)
        case Waits():
            state.waiting.load(piece.deliveries)
            state.common.held.hold(delivery.place for delivery in piece.deliveries)
        case Dead():
            state.dead.load(piece.letters)
            state.common.held.hold(letter.place for _, letter in piece.letters)
        case Remembered():
            state.common.settled.remember(state.name, piece.numbers, piece.is_ack, piece.generation)
        case KeysOfTakes():
            state.takes.load(piece.takes)


def _pieces(state: QueueState) -> Iterator[Piece]:
    """The parts of a snapshot, the head first. All that can change is copied before that is handed out."""
    head = QueueHead(
        state.settings,
        state.version,
        state.dropped,
        state.dead.last_death,
        state.filling,
        state.common.next_number,
        state.made,
        state.begin,
    )
    ends = ((state.new.frozen(), False), (state.later.frozen(), True))
    leased, waiting, dead, takes = list(state.leases), list(state.waiting), state.dead.items(), state.takes.items()
    receipts = list(state.common.settled.frozen(state.name))
    yield head
    for columns, is_later in ends:
        yield from (NewEnds(part, is_later) for part in columns)
    yield from map(Leased, _split(leased, DELIVERIES_A_PART))
    yield from map(Waits, _split(waiting, DELIVERIES_A_PART))
    yield from map(Dead, _split(dead, DELIVERIES_A_PART))
    yield from map(KeysOfTakes, _split(takes, TAKES_A_PART))
    for generation, was_ack in receipts:
        for is_ack in (True, False):
            numbers = [number for number, was in was_ack.items() if was is is_ack]
            yield from (Remembered(generation, is_ack, part) for part in _split(numbers, RECEIPTS_A_PART))


def _split(items: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    return (items[start : start + most] for start in range(0, len(items), most))
