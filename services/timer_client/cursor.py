"""Where a watcher is in the stream of events: nothing missed, nothing twice, in order. No socket and no clock.

Two channels tell of the same events. The events socket is fast, but what it drops while a connection is down or a
queue is full it drops in silence, and since it carries only the events that match a prefix, a gap in their `seq`
says nothing. `events.read` answers from the log and leaves out nothing. So the rule is:

- `seq` is the point up to which everything that matches has been handed out.
- An event from the socket with `seq + 1` is the very next one: it is handed out at once.
- An event from the socket further ahead is not handed out, as others may lie between. It only shows that the log
  has more: the watcher is behind, and reads from `seq` on.
- A beat whose `seq` is ahead shows the same, so a gap that no later event reveals is closed within a beat.
- What lies at or before `seq` is dropped.
- After the socket was connected or connected again, the watcher reads until the log has no more.

A page's `next` moves `seq` on even where nothing matched. A beat from *before* `seq` is either late, or the server
has begun a new log (a store in memory, started anew): reading from `seq` tells which, for a log that ends before
what is asked of it says that it is truncated, and leads to its end.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from timer_client.errors import BadReply, EventsTruncated
from timer_protocol.frames import BEAT_TOPIC, event_topic
from timer_protocol.messages import Beat, Event, EventPage


class _Seq(Struct, gc=False):
    seq: int


_seq = msgspec.json.Decoder(_Seq)
_beat = msgspec.json.Decoder(Beat)
_event = msgspec.json.Decoder(Event)


class EventCursor:
    """The state of one watcher of the topics that begin with `prefix`.

    A prefix is matched against `<id> <kind>`: `order/` is all ids below it, `order/42 ` one timer,
    `order/42 fired` its end.
    """

    def __init__(self, prefix: str, after: int) -> None:
        self.seq = after
        self.topics: Final = (prefix.encode(), BEAT_TOPIC)
        """What to subscribe to."""
        self.id_prefix: Final = prefix.partition(" ")[0]
        """What `events.read` can select by; the rest of the prefix is matched here."""
        self._topic = prefix.encode()
        self._heard = after
        self._resync = True
        self._lost_after: int | None = None

    @property
    def behind(self) -> bool:
        """Whether the log has to be read from `seq` on before listening any further."""
        return self._resync or self._heard > self.seq

    def resync(self) -> None:
        """The events socket was connected anew: whatever happened meanwhile went past it."""
        self._resync = True

    def hear(self, frames: Sequence[bytes]) -> Event | None:
        """Takes a message of the events socket; gives the event if it is the next one.

        Raises `BadReply` for what is no event.
        """
        try:
            topic, body = frames
            if topic == BEAT_TOPIC:
                seq = _beat.decode(body).seq
                self._resync |= seq < self.seq
            else:
                seq = _seq.decode(body).seq
                if seq == self.seq + 1 and topic.startswith(self._topic):
                    event = _event.decode(body)
                    self.seq = seq
                    return event
        except (ValueError, msgspec.DecodeError) as error:
            raise BadReply(f"the events socket sent what this client does not know: {error}") from None
        self._heard = max(self._heard, seq)
        return None

    def take(self, page: EventPage) -> list[Event]:
        """Takes the page that was read after `seq`; gives the events that are new.

        Where some of what was asked for is gone, it first gives those that are left, and raises `EventsTruncated`
        when they are handed out.
        """
        if page.truncated and self._lost_after is None:
            self._lost_after = self.seq
        at_end = page.next == self.seq
        if self._lost_after is not None and (at_end or not page.truncated):
            raise EventsTruncated(self._lost_after, self.seq)
        if at_end:
            self._resync = False
            self._heard = self.seq
        events = [event for event in page.events if event.seq > self.seq and self._matches(event)]
        self.seq = page.next  # below where it was if this is another log
        return events

    def _matches(self, event: Event) -> bool:
        return event_topic(event.timer.id, event.kind).startswith(self._topic)
