"""The queues of a log, by name and by the prefix of the ids whose ends they read."""

from collections.abc import Iterator

from timer_server.core.queues.queue import Queue


class Registry:
    """All queues. Those of an id are found by a look-up for each length of a prefix that there is."""

    def __init__(self) -> None:
        self._by_name: dict[str, Queue] = {}
        self._by_prefix: dict[str, dict[str, Queue]] = {}
        self._lengths: list[int] = []
        """The lengths of all prefixes."""

    def __len__(self) -> int:
        return len(self._by_name)

    def __iter__(self) -> Iterator[Queue]:
        return iter(self._by_name.values())

    def get(self, name: str) -> Queue | None:
        """The queue of a name."""
        return self._by_name.get(name)

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._by_name)

    def add(self, queue: Queue) -> None:
        """Adds a queue, or puts it in place of the one with its name. Call it again where its prefix has changed."""
        name = queue.state.name
        self.remove(name)
        self._by_name[name] = queue
        self._by_prefix.setdefault(queue.state.settings.prefix, {})[name] = queue
        self._lengths = sorted({len(prefix) for prefix in self._by_prefix})

    def remove(self, name: str) -> None:
        """Takes a queue out, if it is there."""
        if self._by_name.pop(name, None) is None:
            return
        for prefix in [prefix for prefix, queues in self._by_prefix.items() if queues.pop(name, None) and not queues]:
            del self._by_prefix[prefix]
        self._lengths = sorted({len(prefix) for prefix in self._by_prefix})

    def matching(self, timer_id: str) -> Iterator[Queue]:
        """The queues whose prefix an id begins with."""
        for length in self._lengths:
            if length > len(timer_id):
                return
            if queues := self._by_prefix.get(timer_id[:length]):
                yield from queues.values()
