"""A recorded history told differently: what a checker would read if a server had done wrong."""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from campaigns.history import Answered, Asked, Closed, Entry, Heard, History, Listed, Logged
from timer_protocol.messages import Event, EventKind, Timer

Change = Callable[[Timer], Timer]


class Retelling:
    """A copy of a history to be changed. A change of an event is one at everybody who has heard of it."""

    def __init__(self, history: History) -> None:
        self.entries: list[Entry] = list(history.entries)

    @property
    def history(self) -> History:
        """The history as it is told now."""
        return History(self.entries)

    def find(self, timer_id: str, kind: EventKind) -> Event:
        """The last event of a kind in the log of a timer."""
        return next(event for event in reversed(self._log()) if event.timer.id == timer_id and event.kind == kind)

    def first_asked(self, timer_id: str, method: str) -> Asked:
        """The first request of a kind about a timer."""
        return self._all_asked(timer_id, method)[0]

    def last_asked(self, timer_id: str, method: str) -> Asked:
        """The last request of a kind about a timer."""
        return self._all_asked(timer_id, method)[-1]

    def answer_to(self, asked: Asked) -> Answered:
        """The reply to a request."""
        return next(entry for entry in self.entries if isinstance(entry, Answered) and entry.number == asked.number)

    def drop(self, is_unwanted: Callable[[Entry], bool]) -> None:
        """Leaves entries out."""
        self.entries = [entry for entry in self.entries if not is_unwanted(entry)]

    def swap(self, one: Entry, other: Entry) -> None:
        """Lets two entries change places."""
        at, there = self.entries.index(one), self.entries.index(other)
        self.entries[at], self.entries[there] = other, one

    def replace_entry(self, entry: Entry, **changes: Any) -> None:
        """Changes one entry."""
        self.entries[self.entries.index(entry)] = replace(entry, **changes)

    def heard(self, event: Event) -> Heard:
        """Where the watcher heard of an event."""
        return next(entry for entry in self.entries if isinstance(entry, Heard) and entry.event == event)

    def change(self, timer_id: str, version: int, changed: Change, **of_event: Any) -> None:
        """Changes a version of a timer in the log, at the watcher, in replies and in the list."""
        for at, entry in enumerate(self.entries):
            match entry:
                case Logged(event=event) | Heard(event=event) if _is(event.timer, timer_id, version):
                    event = replace(event, timer=changed(event.timer), **of_event)
                    self.entries[at] = replace(entry, event=event)
                case Answered(timer=Timer() as timer) if _is(timer, timer_id, version):
                    self.entries[at] = replace(entry, timer=changed(timer))
                case Listed(timer=timer) if _is(timer, timer_id, version):
                    self.entries[at] = Listed(changed(timer))

    def append(self, kind: EventKind, timer: Timer) -> None:
        """Lets one more event happen at the end, with a timer that is listed so."""
        last = self._log()[-1]
        event = Event(last.log, last.seq + 1, kind, last.at_ms + 1, timer)
        end = self._place_of(Closed)
        heard = Heard("watcher/0", self.entries[end].at_s, event)  # type: ignore[union-attr]
        self.drop(lambda entry: isinstance(entry, Listed) and entry.timer.id == timer.id)
        self.entries.insert(self._place_of(Closed), Listed(timer))
        self.entries.insert(self._place_of(Listed), Logged(event))
        self.entries.insert(self._place_of(Logged), heard)

    def forget(self, timer_id: str) -> None:
        """Lets a timer never have been, but for what was asked and answered; the log closes over it."""
        self.drop(lambda entry: isinstance(entry, Logged | Heard) and entry.event.timer.id == timer_id)
        self.drop(lambda entry: isinstance(entry, Listed) and entry.timer.id == timer_id)
        numbers = {event.seq: number for number, event in enumerate(self._log(), 1)}
        for at, entry in enumerate(self.entries):
            if isinstance(entry, Logged | Heard):
                self.entries[at] = replace(entry, event=replace(entry.event, seq=numbers[entry.event.seq]))

    def split(self, *timer_ids: str) -> None:
        """Lets some timers be in a log of their own, as those of another shard are."""
        seqs: dict[tuple[str, int], tuple[str, int]] = {}
        ends: dict[str, int] = {}
        for event in self._log():
            log = "another log" if event.timer.id in timer_ids else event.log
            ends[log] = ends.get(log, 0) + 1
            seqs[event.log, event.seq] = log, ends[log]
        for at, entry in enumerate(self.entries):
            if isinstance(entry, Logged | Heard):
                log, seq = seqs[entry.event.log, entry.event.seq]
                self.entries[at] = replace(entry, event=replace(entry.event, log=log, seq=seq))
            elif isinstance(entry, Closed):
                (now_ms,) = entry.now_ms.values()
                self.entries[at] = replace(entry, now_ms=dict.fromkeys(ends, now_ms))

    def _all_asked(self, timer_id: str, method: str) -> list[Asked]:
        asked = [entry for entry in self.entries if isinstance(entry, Asked)]
        return [entry for entry in asked if entry.method == method and entry.params["id"] == timer_id]

    def _log(self) -> list[Event]:
        return [entry.event for entry in self.entries if isinstance(entry, Logged)]

    def _place_of(self, kind: type[Entry]) -> int:
        return next(at for at, entry in enumerate(self.entries) if isinstance(entry, kind))


def _is(timer: Timer, timer_id: str, version: int) -> bool:
    return (timer.id, timer.version) == (timer_id, version)
