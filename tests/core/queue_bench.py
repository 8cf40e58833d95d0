"""A shard for tests of those who read ends: with readers that do what they are told."""

from core.fake_readers import FakeReaders
from core.parts import restore_in_parts
from drivers.builders import BEGIN_NS, NS_PER_MS, NS_PER_S, Bench, entries_in
from timer_protocol.messages import CancelParams
from timer_server.core.entries import QueueEntry, ServerStarted
from timer_server.store.base import Anchor, Store

DAY_NS = 86_400 * NS_PER_S
BEGIN_MS = BEGIN_NS // NS_PER_MS
LATER_NS = BEGIN_NS + 2 * DAY_NS
LARGE = b'"%s"' % (b"x" * 300)


class QueueBench(Bench):
    """A shard with readers, which have read its log."""

    def __init__(self, store: Store | None = None, **limits: int) -> None:
        self.readers = FakeReaders()
        super().__init__(store, readers=self.readers, **limits)
        restore_in_parts(self.engine, self.store.load(), self.store.open().ends, self.log.holder, 2)

    def restarted(self) -> "QueueBench":
        """Another server on the same store. What was not committed is lost."""
        return QueueBench(self.store)

    def forget(self, now_ns: int, is_stored: bool = True) -> None:
        """All of retention that there is to do. A horizon that has moved over what stays is stored by a later turn."""
        super().forget(now_ns)
        if is_stored:
            self.shard.anchor = Anchor("a boot", 0, 0, 0)
            self.commit()

    def put(self, queue: str = "q") -> None:
        """Makes a queue, behind what has happened so far."""
        self.readers.put(queue, BEGIN_MS)
        self.commit()

    def end(self, timer_id: str = "a", now_ns: int = BEGIN_NS) -> int:
        """The place of the end of a timer that is there."""
        return self.ask(CancelParams(timer_id), now_ns).place

    def let_go(self, *places: int, queue: str = "q") -> None:
        self.readers.let_go(queue, list(places), BEGIN_MS)
        self.commit()

    def stored(self) -> list[str]:
        """What is in the store: the id and kind of an event, or the queue and part of another entry."""
        return [told(entry) for entry in entries_in(self.store)]


def told(entry: object) -> str:
    if isinstance(entry, QueueEntry):
        return f"{entry.queue} {entry.part.name}"
    if isinstance(entry, ServerStarted):
        return "server started"
    return f"{getattr(entry, 'id', '')} {getattr(entry, 'kind', '')}"
