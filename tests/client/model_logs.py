"""A naive model of a store's logs: what `events.read` gives for a cursor, also after restores and replacements."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from client.fake_server import timer
from timer_protocol.frames import event_topic
from timer_protocol.messages import Beat, Event, EventKind, EventPage, LogStanding


def event(seq: int, timer_id: str = "tea", kind: EventKind = "started", log: str = "a", label: str = "") -> Event:
    """An event, of the log `a` unless told otherwise."""
    return Event(log, seq, kind, 0, timer(id=timer_id, label=label))


def topic_of(event: Event) -> bytes:
    """The topic under which an event is published."""
    return event_topic(event.timer.id, event.kind)


@dataclass
class Log:
    """One log: its events, each with a label of its own, and the logs that it was a copy of."""

    events: list[Event] = field(default_factory=list)
    ancestors: dict[str, int] = field(default_factory=dict)


class Logs:
    """The logs of a store, by their ids."""

    def __init__(self, count: int) -> None:
        self._made = 0
        self._happened = 0
        self.by_id: dict[str, Log] = {self._new_id(): Log() for _ in range(count)}

    @property
    def ends(self) -> dict[str, int]:
        """The last `seq` of each log."""
        return {log_id: len(log.events) for log_id, log in self.by_id.items()}

    def happen(self, log_id: str, timer_id: str, kind: EventKind) -> Event:
        """Adds an event to a log."""
        self._happened += 1
        events = self.by_id[log_id].events
        events.append(event(len(events) + 1, timer_id, kind, log_id, str(self._happened)))
        return events[-1]

    def beat(self, log_ids: list[str]) -> Beat:
        """A beat of a server that has these logs."""
        return Beat({log_id: LogStanding(self.ends[log_id], 0) for log_id in log_ids})

    def restore(self, log_id: str, seq: int) -> None:
        """Replaces a log by a copy of its first events, which remembers where it comes from."""
        log = self.by_id.pop(log_id)
        new_id = self._new_id()
        copied = [event(e.seq, e.timer.id, e.kind, new_id, e.timer.label) for e in log.events[:seq]]
        ancestors = {old_id: min(at, seq) for old_id, at in log.ancestors.items()}
        self.by_id[new_id] = Log(copied, {**ancestors, log_id: seq})

    def replace(self, log_id: str) -> None:
        """Replaces a log by a new one that knows nothing of it."""
        del self.by_id[log_id]
        self.by_id[self._new_id()] = Log()

    def read(self, after: Mapping[str, int], id_prefix: str, limit: int, scan: int) -> EventPage:
        """A page of at most `limit` events, after at most `scan` were looked at, from the logs in turn."""
        positions, truncated = self._begin(after)
        events: list[Event] = []
        for _ in range(scan):
            unread = [log_id for log_id, end in self.ends.items() if positions[log_id] < end]
            if not unread or len(events) == limit:
                break
            log_id = min(unread, key=positions.__getitem__)
            found = self.by_id[log_id].events[positions[log_id]]
            positions[log_id] += 1
            events += [found] if found.timer.id.startswith(id_prefix) else []
        return EventPage(events, positions, positions != self.ends, truncated)

    def knows(self, cursor: Mapping[str, int]) -> bool:
        """Whether any name in a cursor is that of a log, or of an ancestor."""
        return any(self._shared(log_id, name) is not None for log_id in self.by_id for name in cursor)

    def _begin(self, after: Mapping[str, int]) -> tuple[dict[str, int], bool]:
        """Where to begin in each log, and whether some of what is asked for is not there."""
        found: dict[str, int] = {}
        truncated = False
        for name, seq in after.items():
            bounds = {log_id: self._shared(log_id, name) for log_id in self.by_id}
            log_id, bound = next(((i, bound) for i, bound in bounds.items() if bound is not None), (None, 0))
            truncated |= log_id is None or seq > bound
            if log_id is not None:
                found[log_id] = max(found.get(log_id, 0), min(seq, bound))
        if after and not found:
            return self.ends, True
        return dict.fromkeys(self.by_id, 0) | found, truncated

    def _shared(self, log_id: str, name: str) -> int | None:
        """The last `seq` that a log has in common with the one of this name."""
        return self.ends[log_id] if name == log_id else self.by_id[log_id].ancestors.get(name)

    def _new_id(self) -> str:
        self._made += 1
        return f"log{self._made}"
