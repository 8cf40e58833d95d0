"""A naive model of the servers of a store: who owns which log, and what each of them sends to a watcher."""

from collections import defaultdict, deque
from collections.abc import Callable, Collection

import msgspec

from client.model_logs import Logs, topic_of
from timer_protocol.frames import BEAT_TOPIC
from timer_protocol.limits import Limits
from timer_protocol.messages import Beat, Event, LogStanding, ServerAddresses, ServerInfo, StateCounts

Frames = tuple[bytes, bytes]


def info_of(ends: dict[str, int], servers: Collection[str] = (), version: int = 1) -> ServerInfo:
    """What `server.info` tells of logs, and of servers by their names."""
    standings = {log: LogStanding(seq, 0) for log, seq in ends.items()}
    listed = tuple(ServerAddresses(name, f"tcp://{name}:8888", events_of(name)) for name in servers)
    counts = StateCounts(0, 0, 0, 0)
    return ServerInfo("0", "timer/1", standings, ends, counts, Limits(), servers=listed, servers_version=version)


def events_of(name: str) -> str:
    """The events endpoint of a server."""
    return f"tcp://{name}:8889"


class Servers:
    """Servers that come and go, and the messages that are on their way to a watcher.

    Those of one log keep their order, and so do the beats of one server; anything else may overtake.
    """

    def __init__(self, logs: Logs, count: int) -> None:
        self._logs = logs
        self.is_heard: Callable[[str], bool] = lambda _: True
        """Whether the watcher is connected to an endpoint."""
        self.cut_off: set[str] = set()
        """The servers whose connection to the watcher is down."""
        self.names: list[str] = []
        self._lists: dict[int, tuple[str, ...]] = {0: ()}
        """The servers there were at each version."""
        self._knows: dict[str, int] = {}
        """The version that each server knows."""
        self._wires: defaultdict[tuple[str, str], deque[Frames]] = defaultdict(deque)
        for _ in range(count):
            self.join()
        self.owners: dict[str, str | None] = {log_id: self.at(place) for place, log_id in enumerate(logs.by_id)}
        self.tell_all()

    @property
    def version(self) -> int:
        """That of the present list."""
        return max(self._lists)

    def at(self, place: int) -> str:
        """One of the servers."""
        return self.names[place % len(self.names)]

    def join(self) -> None:
        """Another server comes."""
        name = f"s{self.version + 1}"
        self.names.append(name)
        self._knows[name] = self._changed()

    def leave(self, name: str) -> None:
        """A server goes; its logs have no owner. What it had sent may still arrive. The last one stays."""
        if len(self.names) > 1:
            self.names.remove(name)
            self._changed()
            self.owners.update({log_id: None for log_id, owner in self.owners.items() if owner == name})

    def succeed(self, log_id: str) -> None:
        """The latest log takes the place of one that is gone."""
        self.owners[list(self._logs.by_id)[-1]] = self.owners.pop(log_id)

    def tell_all(self) -> None:
        """Every server gets to know the present list."""
        self._knows = dict.fromkeys(self.names, self.version)

    def publish(self, event: Event) -> None:
        """The owner of its log, if there is one, sends an event."""
        if (owner := self.owners[event.log]) is not None:
            self._send(owner, event.log, (topic_of(event), msgspec.json.encode(event)))

    def beat(self, name: str) -> None:
        """A server sends a beat."""
        standings = self._logs.beat([log_id for log_id, owner in self.owners.items() if owner == name]).logs
        self._send(name, "", (BEAT_TOPIC, msgspec.json.encode(Beat(standings, self._knows[name]))))

    def info(self, name: str) -> ServerInfo:
        """What a server tells of all."""
        return info_of(self._logs.ends, self._lists[self._knows[name]], self._knows[name])

    def arriving(self) -> list[deque[Frames]]:
        """The messages that are on their way."""
        return [wire for (name, _), wire in self._wires.items() if wire and self.is_heard(events_of(name))]

    def lose(self, name: str | None = None) -> None:
        """What a server, or any, has sent is lost."""
        for key in [key for key in self._wires if name in (None, key[0])]:
            del self._wires[key]

    def _send(self, name: str, channel: str, frames: Frames) -> None:
        if name not in self.cut_off and self.is_heard(events_of(name)):
            self._wires[name, channel].append(frames)

    def _changed(self) -> int:
        version = self.version + 1
        self._lists[version] = tuple(self.names)
        return version
