"""Where to listen for events: at all servers of the store. No socket and no clock."""

from collections.abc import Sequence

from timer_protocol.messages import ServerInfo
from timer_protocol.settings import can_connect

ALONE = 1
"""The version of the list that a server tells which has never met another. Nobody needs to ask for that."""


class Roster:
    """The events endpoints that were configured, and those of the servers that `server.info` lists.

    Each beat tells the version of that list, so a server that joins is listened to from its first second on. Those that
    were configured stay: the addresses that servers tell may be out of reach from here.
    """

    def __init__(self, configured: Sequence[str]) -> None:
        self._configured = tuple(configured)
        self._version = ALONE
        self.endpoints = self._configured
        """Where to listen."""
        self.is_outdated = False
        """Whether `server.info` has to be asked."""

    def hear(self, version: int) -> None:
        """Takes the version that a beat tells. Servers may not all know the latest, so a lower one is late."""
        self.is_outdated |= version > self._version

    def suspect(self) -> None:
        """Notes that what is known of the servers may be wrong."""
        self._version = ALONE
        self.is_outdated = True

    def take(self, info: ServerInfo) -> None:
        """Takes the list. Where a server knows an older one than this, the next beat leads to another question."""
        self.is_outdated = False
        if info.servers_version > self._version:
            self._version = info.servers_version
            told = (server.events for server in info.servers if can_connect(server.events))
            self.endpoints = tuple(dict.fromkeys((*self._configured, *told)))
