"""Backups of a store that is in use: a copy goes, a slice a turn, to the operator who asks for it.

While nobody does, the loop polls one descriptor more, and nothing else.
"""

from msgspec import Struct

from timer_protocol.durations import NS_PER_MS
from timer_server.logs import fields, log
from timer_server.loop.chores import Schedule
from timer_server.loop.clock import Clock
from timer_server.metrics import Metrics
from timer_server.store.copied import Copied, CopyLost
from timer_server.store.sqlite.schema import VERSION
from timer_server.wire.admin_messages import Backup, Begun, Blocks, Ended, Refused
from timer_server.wire.admin_port import AdminConnection, AdminPort

SLICE_BYTES = 131_072
"""What is read of the store in one turn, within half a millisecond."""

REST_MS = 2
"""Between two slices, so that a server with nothing else to do is not late for what comes up."""

WAIT_MS = 5
"""How long a slice that was not taken whole is left, before it is looked at again."""

STALL_LIMIT_MS = 30_000
"""How long one who asked may leave unread what was sent. Then the copy is given up."""

_NO_ROOM = "the disk is nearly full"


class _Copying(Struct):
    """A copy that is being sent, and when it began; `taken_ns` is when something of it was last taken."""

    connection: AdminConnection
    begun_ns: int
    taken_ns: int
    sent_bytes: int = 0
    is_read: bool = False
    """Whether all blocks were read."""


class Backups:
    """A chore while a copy is being sent, one at a time."""

    def __init__(self, port: AdminPort, store: Copied, clock: Clock, metrics: Metrics, schedule: Schedule) -> None:
        """`schedule` has this for a chore as long as there is something to do."""
        self._port = port
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._schedule = schedule
        self._copying: _Copying | None = None
        self._sent: dict[AdminConnection, _Copying] = {}
        """Copies that were sent whole, and are not on a disk yet as far as is known."""
        self._due_ns = 0

    def take_in(self) -> None:
        """Takes in what operators ask, who may also have gone."""
        now_ns = self._clock.now_ns()
        for connection, asked, fault in self._port.take():
            if asked is None:
                self._note_gone(connection, fault or "who asked for it has gone")
            elif isinstance(asked, Backup):
                self._begin(connection, now_ns)
            else:
                self._note_kept(connection, now_ns)
        self._port.resume()

    def next_due_ns(self) -> int:
        return self._due_ns

    def step(self, now_ns: int, _budget: int = 0) -> None:
        """Sends the next slice, if the one before was taken. Raises `StoreError`."""
        copying = self._copying
        if copying is None or now_ns < self._due_ns:
            return
        if copying.connection.flush():
            copying.taken_ns = now_ns
        self._due_ns = now_ns + (WAIT_MS if copying.connection.has_unsent else REST_MS) * NS_PER_MS
        if self._store.is_short_of_room:
            self._give_up(_NO_ROOM)
        elif not copying.connection.has_unsent:
            self._go_on(copying, now_ns)
        elif now_ns - copying.taken_ns >= STALL_LIMIT_MS * NS_PER_MS:
            self._give_up(f"nothing of it was read for {STALL_LIMIT_MS // 1000} s")

    def _begin(self, connection: AdminConnection, now_ns: int) -> None:
        if self._copying is not None:
            connection.send(Refused("another backup is being made"))
        elif self._store.is_short_of_room:
            connection.send(Refused(_NO_ROOM))
        else:
            self._copying, self._due_ns = _Copying(connection, now_ns, now_ns), 0
            self._schedule.add(self)
            connection.send(Begun(VERSION, self._store.begin_copy()))

    def _go_on(self, copying: _Copying, now_ns: int) -> None:
        """Sends the next slice; behind the last one, that there are no more."""
        if not copying.is_read:
            try:
                rows = self._store.copy_on(SLICE_BYTES)
            except CopyLost as lost:
                self._give_up(str(lost))
                return
            copying.taken_ns, copying.is_read = now_ns, not rows
            copying.sent_bytes += sum(len(row[2]) for row in rows)
            copying.connection.send(Blocks(rows) if rows else Ended())
        if copying.is_read and not copying.connection.has_unsent:
            self._sent[copying.connection] = self._end()

    def _give_up(self, reason: str) -> None:
        """Ends the copy before its end, and tells who asked for it, if he is there."""
        copying = self._end()
        log.warning("backup given up", extra=fields(reason=reason))
        copying.connection.send(Refused(reason))
        self._port.end(copying.connection)

    def _end(self) -> _Copying:
        copying, self._copying = self._copying, None
        assert copying is not None
        self._store.end_copy()
        self._schedule.remove(self)
        return copying

    def _note_gone(self, connection: AdminConnection, reason: str) -> None:
        if self._copying is not None and self._copying.connection is connection:
            self._end()
            log.warning("backup given up", extra=fields(reason=reason))
        elif self._sent.pop(connection, None) is not None:
            log.warning("backup sent, and not kept", extra=fields(reason=reason))

    def _note_kept(self, connection: AdminConnection, now_ns: int) -> None:
        """Notes that a copy is on a disk."""
        if (copying := self._sent.pop(connection, None)) is not None:
            self._metrics.backed_up(now_ns + self._clock.ahead_ns())
            took_ms = (now_ns - copying.begun_ns) // NS_PER_MS
            log.info("backup made", extra=fields(bytes=copying.sent_bytes, took_ms=took_ms))
