"""What servers that share a database write down for each other, and how shards pass from one to another.

What is written counts once it has ended, and nothing makes it doubtful. Beats go over a session of their own, as the
others may wait for locks.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import msgspec
from psycopg.pq.abc import PGconn

from timer_server.store.membership import ServerRow, ShardRow, Tie, Told, View
from timer_server.store.postgres.arrays import int4, int4_array, int8_array, uuid_array
from timer_server.store.postgres.exchange import Steps, asking
from timer_server.store.postgres.membership_statements import (
    BEAT,
    CLAIM,
    DECLARE_DEAD,
    DEPART,
    END_BLOCKERS,
    FORGET,
    HAND_OVER,
    JOIN,
    LOCK_FORMAT,
    RAISE_FORMAT,
)
from timer_server.store.postgres.own_session import OwnSession, Reply
from timer_server.store.postgres.sentences import Lost, unreadable
from timer_server.store.postgres.statements import BEGIN, END


class Pulse(NamedTuple):
    """What a beat has found: when this server joined, None where it was declared dead; PostgreSQL's clock; all rows."""

    joined: int | None
    clock_ns: int
    view: View


class Owned(NamedTuple):
    """A shard that was taken: its epoch, and the last place of its log."""

    number: int
    epoch: int
    last_place: int


class Handover(NamedTuple):
    """A shard to give away as it was left, to an incarnation or to nobody, at a moment of its timeline."""

    number: int
    epoch: int
    last_place: int
    to: str | None
    timeline_ns: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Told).decode


class Beats(OwnSession):
    """The session for beats, which never waits for the locks of shards."""

    statements = (JOIN, BEAT)

    def joining(self, me: str, name: str, formats: Sequence[int], told: Told) -> Steps[Reply[Pulse]]:
        """Adds this server. Raises `Unfit` where it cannot read the entries of the store."""
        written = yield from self.writing(JOIN, [UUID(me).bytes, name.encode(), int4_array(formats), _encode(told)])
        pulse = _pulse(written.value)
        if pulse.joined is None:
            written_in = next(int(row[10]) for row in written.value if not _number(row[0]))
            raise unreadable(written_in, formats)
        return Reply(pulse, written.doubt)

    def beating(self, me: str, told: Told) -> Steps[Reply[Pulse]]:
        """Raises the beat of this server."""
        written = yield from self.writing(BEAT, [UUID(me).bytes, _encode(told)])
        return Reply(_pulse(written.value), written.doubt)


class Changes(OwnSession):
    """The session for what servers change beside their beats."""

    statements = (DECLARE_DEAD, CLAIM, FORGET, DEPART)

    def declaring_dead(self, servers: Sequence[ServerRow]) -> Steps[Reply[frozenset[str]]]:
        """Declares servers dead that are as they were read, and gives those that were."""
        values = [uuid_array([row.incarnation for row in servers]), int8_array([row.beat for row in servers])]
        written = yield from self.writing(DECLARE_DEAD, values)
        return Reply(frozenset(str(UUID(bytes=row[0])) for row in written.value), written.doubt)

    def claiming(self, me: str, claims: Sequence[tuple[int, int, int]]) -> Steps[Reply[list[Owned]]]:
        """Takes shards that are in the epoch that was read: each as its number, that epoch and a moment of its
        timeline."""
        numbers, epochs, moments = zip(*claims, strict=True)
        values = [UUID(me).bytes, int4_array(numbers), int8_array(epochs), int8_array(moments)]
        written = yield from self.writing(CLAIM, values)
        return Reply([Owned(*map(_number, row[:3])) for row in written.value], written.doubt)

    def forgetting(self) -> Steps[Reply[None]]:
        """Removes dead servers that own nothing."""
        yield from self.asking(FORGET)
        return Reply(None)

    def departing(self, me: str) -> Steps[Reply[None]]:
        """Declares this server dead."""
        written = yield from self.writing(DEPART, [UUID(me).bytes])
        return Reply(None, written.doubt)


class Rescue(OwnSession):
    """The session for when others wait for locks."""

    statements = (END_BLOCKERS,)

    def ending_blockers(self, backend: int) -> Steps[Reply[list[tuple[int, bool]]]]:
        """Ends the sessions that hold what another waits for, and gives their processes, and whether each was ended."""
        rows = (yield from self.asking(END_BLOCKERS, [int4(backend)])).rows
        return Reply([(_number(pid), is_ended != b"\0") for pid, is_ended in rows])


def handing_over(session: OwnSession, me: str, shards: Sequence[Handover]) -> Steps[Reply[frozenset[int]]]:
    """Gives shards away, and gives those that this server still owned as it had left them."""
    numbers, epochs, places, receivers, moments = zip(*shards, strict=True)
    values = [
        UUID(me).bytes,
        int4_array(numbers),
        int8_array(epochs),
        int8_array(places),
        uuid_array(receivers),
        int8_array(moments),
    ]
    written = yield from session.writing(HAND_OVER, values)
    return Reply(frozenset(_number(row[0]) for row in written.value), written.doubt)


def raising_format(connection: PGconn, wanted: int) -> Steps[bool]:
    """Has entries written in another format, and returns whether that could be."""
    yield from asking(connection, BEGIN)
    yield from asking(connection, LOCK_FORMAT)  # who has joined meanwhile is seen by the next statement alone
    raised = yield from asking(connection, RAISE_FORMAT, [int4(wanted)])
    if not (yield from asking(connection, END)).is_confirmed:
        raise Lost("the wait for the standby was cancelled")
    return bool(raised.rows)


def _pulse(rows: Sequence[tuple[bytes, ...]]) -> Pulse:
    joined, clock_ns = None, 0
    servers, shards = [], []
    for kind, number, key, age, moment_ns, a, b, c, formats, told, name, *_ in rows:
        match _number(kind):
            case 0:
                joined, clock_ns = _number(age) if age else None, _number(moment_ns)
            case 1:
                tells = _read_told(told)
                row = ServerRow(
                    str(UUID(bytes=key)), _number(age), name.decode(), _number(a), bool(_number(number)),
                    _number(moment_ns), _numbers(formats), tells,
                )  # fmt: skip
                servers.append(row)
            case _:
                tie = Tie(_number(number), _number(b), _number(c), _number(moment_ns)) if b else None
                owner = str(UUID(bytes=key)) if key else None
                shards.append(ShardRow(_number(number), _number(age), owner, _number(a), tie))
    return Pulse(joined, clock_ns, View(tuple(servers), tuple(shards)))


def _read_told(told: bytes) -> Told:
    """What a server tells. What cannot be read tells nothing: the row of one must not stop all others."""
    try:
        return _decode(told) if told else Told()
    except msgspec.MsgspecError:
        return Told()


def _number(value: bytes) -> int:
    return int.from_bytes(value, "big", signed=True)


def _numbers(array: bytes) -> tuple[int, ...]:
    """The elements of an array of `integer`."""
    return tuple(_number(array[at : at + 4]) for at in range(24, len(array), 8))
