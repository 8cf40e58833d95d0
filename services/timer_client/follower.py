"""Follows the events of all logs: none missed, none twice. No socket and no clock.

Two channels tell of the same events. The events sockets are fast, but they drop events in silence while a connection is
down or a queue is full; and since they carry only the events that match a prefix, a gap in their `seq` says nothing.
`events.read` answers from the logs and leaves out nothing. So the rule is, for each log:

- The cursor is the point up to which all matching events have been handed out.
- An event from a socket with the next `seq` of its log is handed out at once.
- An event from a socket that is further ahead, or of a log that the cursor does not name, is not handed out, as
  others may lie before it. It only shows that there is something to read.
- A beat that names another `seq` than the cursor, or a log that the cursor does not name, shows the same, so a gap
  that no later event reveals is closed within a beat. A beat never moves the cursor: an event may have been dropped
  before it.
- Events at or before the cursor are dropped.
- A log that no beat has named for some seconds is read: the connection to its server may be dead without a word, it may
  be on its way to another server, or that may be out of reach.

A socket tells of the logs that its server owns, and servers come, go, and hand logs over. Nothing here depends on which
socket a message came from: what an old owner tells late lies before the cursor, what a new one tells early is ahead of
it, and of what neither of them has told, the new owner's first beat tells.

Reading goes on for as long as a page says that there is more. Each page moves the cursor, also where nothing matched.
A beat from before the cursor is late, or the server has an older copy of the log: reading tells which. Where the logs
do not have what was asked for, the page is `truncated`, and its `next` is what they have.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from timer_client.cursor import Cursor
from timer_client.encoding import text_bytes
from timer_client.errors import BadReply, EventsTruncated
from timer_client.roster import Roster
from timer_client.vigil import Vigil
from timer_protocol.frames import BEAT_TOPIC, SERVICE_TOPICS, event_topic
from timer_protocol.messages import Beat, Event, EventPage, ServerInfo


class _Position(Struct, gc=False):
    log: str
    seq: int


_position = msgspec.json.Decoder(_Position)
_beat = msgspec.json.Decoder(Beat)
_event = msgspec.json.Decoder(Event)


class Follower:
    """The state of one watcher of the topics that begin with `prefix`.

    A prefix is matched against `<id> <kind>`: `order/` is all ids below it, `order/42 ` one timer,
    `order/42 fired` its end.
    """

    def __init__(self, prefix: str, after: Cursor | None, endpoints: Sequence[str] = ()) -> None:
        self.topics: Final = (text_bytes("prefix", prefix), BEAT_TOPIC)
        """What to subscribe to."""
        self.id_prefix: Final = prefix.partition(" ")[0]
        """The prefix for `events.read`, which selects by ids; the rest is matched here."""
        self.roster: Final = Roster(endpoints)
        """Where to listen, the configured `endpoints` among it."""
        self._vigil = Vigil()
        """Over the logs."""
        self.behind = True
        """Whether the logs have to be read from the cursor on before listening goes on."""
        self.has_begun = after is not None
        """Whether there is a cursor. Without one, `begin` has to be called first."""
        self._topic = self.topics[0]
        self._positions = dict(after or {})
        self._lost_after: Cursor | None = None
        self.passed = 0
        """Events that the cursor has moved past."""
        self._before: tuple[str, int | None] = ("", None)

    @property
    def cursor(self) -> Cursor:
        """The position after the last event that was handed out."""
        return Cursor(self._positions)

    @property
    def cursor_before(self) -> Cursor:
        """The position before the last event that the cursor has moved past."""
        log, seq = self._before
        others = {name: at for name, at in self._positions.items() if name != log}
        return Cursor(others if seq is None else {**others, log: seq})

    @property
    def listens_s(self) -> float:
        """How long to listen before there is something else to do."""
        return self._vigil.left_s

    def begin(self, now: ServerInfo) -> None:
        """Sets the cursor to where the logs end."""
        self._positions = dict(now.cursor)
        self.has_begun = True
        self.roster.take(now)

    def resync(self) -> None:
        """Notes that nobody has listened for a while."""
        self.behind = True

    def listen(self, listened_s: float) -> None:
        """Notes for how long was listened, after what was heard meanwhile."""
        self._vigil.listen(listened_s)
        if self._vigil.take_silent():
            self.behind = True
            self.roster.suspect()

    def hear(self, frames: Sequence[bytes]) -> Event | None:
        """Takes a message of the events socket; returns its event if it is the next one of its log.

        Raises `BadReply` for a message that is none of the protocol's.
        """
        try:
            topic, body = frames
            if not topic.startswith(SERVICE_TOPICS):
                return self._hear_event(topic, body)
            if topic == BEAT_TOPIC:
                self._hear_beat(body)
        except (ValueError, msgspec.DecodeError) as error:
            raise BadReply(f"the events socket sent what this client does not know: {error}") from None
        return None

    def take(self, page: EventPage) -> Iterator[Event]:
        """Takes the page read after the cursor; yields its events one by one, and moves the cursor with them.

        Where some of what was asked for is gone, the events that are left come first, in this page and in those that
        follow at once; `EventsTruncated` is raised after the last of them.
        """
        if page.truncated and self._lost_after is None:
            self._lost_after = self.cursor
        for event in page.events:
            if event_topic(event.timer.id, event.kind).startswith(self._topic):
                self._pass(event)
                yield event
        self._positions = dict(page.next)
        self.behind = page.more
        self._vigil.begin(self._positions)
        if self._lost_after is not None and not page.more:
            raise EventsTruncated(self._lost_after, self.cursor)

    def _pass(self, event: Event) -> None:
        """Moves the cursor past an event. In this order: an interrupt in between repeats the event and loses none."""
        self._before = event.log, self._positions.get(event.log)
        self.passed += 1
        self._positions[event.log] = event.seq

    def _hear_beat(self, body: bytes) -> None:
        beat = _beat.decode(body)
        self.roster.hear(beat.servers_version)
        for log, standing in beat.logs.items():
            self._vigil.hear(log)
            self.behind |= self._positions.get(log) != standing.seq

    def _hear_event(self, topic: bytes, body: bytes) -> Event | None:
        position = _position.decode(body)
        seen = self._positions.get(position.log)
        if seen is not None and position.seq <= seen:
            return None
        if position.seq - 1 == seen and topic.startswith(self._topic):
            event = _event.decode(body)
            self._pass(event)
            return event
        self.behind = True
        return None
