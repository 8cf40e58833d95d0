"""Queues as the log tells them after a restart."""

from collections.abc import Callable

from timer_server.core.entries import Part, QueueEntry
from timer_server.core.model import Countdown
from timer_server.core.queues.changes import Change, Put
from timer_server.core.queues.queue import Queue
from timer_server.core.queues.registry import Registry
from timer_server.core.queues.snapshots import Numbers, QueueHead, add_piece, decode, state_of
from timer_server.core.queues.state import Common, QueueState


class _Loading:
    """A queue whose snapshot is being read, and what has happened to it since that was begun."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.since: list[Countdown | tuple[Change, int]] = []


class LogReader:
    """Makes queues from their entries and from the ends, in the order of the log.

    Of the entries that a snapshot makes obsolete, some may be there, with the earlier ones gone: what is told of a
    queue before it was made is passed over.
    """

    def __init__(self, registry: Registry, common: Common, working: Callable[[QueueState], Queue]) -> None:
        self._registry = registry
        self._common = common
        self._working = working
        self._loading: dict[str, _Loading] = {}

    def read_end(self, end: Countdown) -> None:
        """Takes up the end of a timer."""
        for queue in self._registry.matching(end.id):
            queue.offer(end)
        for loading in self._loading.values():
            loading.since.append(end)

    def read_entry(self, entry: QueueEntry) -> None:
        """Takes up an entry of a queue."""
        name = entry.queue
        if entry.part is Part.GONE:
            self._loading.pop(name, None)
            self._registry.remove(name)
            self._common.settled.forget(name)
            return
        content = decode(entry.body)
        if isinstance(content, Numbers):
            self._common.next_number = max(self._common.next_number, content.next)
            return
        if isinstance(content, Change):
            self._read_change(entry, content)
            return
        if isinstance(content, QueueHead):
            self._loading[name] = _Loading(self._working(state_of(name, content, self._common)))
        loading = self._loading.get(name)
        if loading is None:
            return
        add_piece(loading.queue.state, content)
        loading.queue.note_logged(entry.part, len(entry.body), is_piece=True)
        if entry.part in (Part.LAST, Part.WHOLE):
            self._complete(self._loading.pop(name))

    def _read_change(self, entry: QueueEntry, change: Change) -> None:
        queue, loading = self._registry.get(entry.queue), self._loading.get(entry.queue)
        if queue is None and isinstance(change, Put) and change.is_making:
            queue = self._working(QueueState(entry.queue, change.settings, self._common))
        if queue is not None:
            self._apply(queue, change, entry.at_ms)
            queue.note_logged(entry.part, len(entry.body), is_piece=False)
        if loading is not None:
            loading.since.append((change, entry.at_ms))
            loading.queue.note_logged(entry.part, len(entry.body), is_piece=False)

    def _complete(self, loading: _Loading) -> None:
        """Puts the queue of a snapshot in place of the one that it was made of."""
        queue = loading.queue
        self._registry.add(queue)
        for happened in loading.since:
            if isinstance(happened, Countdown):
                if happened.id.startswith(queue.state.settings.prefix):
                    queue.offer(happened)
            else:
                self._apply(queue, *happened)

    def _apply(self, queue: Queue, change: Change, at_ms: int) -> None:
        queue.state.apply(change, at_ms)
        if isinstance(change, Put):
            self._registry.add(queue)
