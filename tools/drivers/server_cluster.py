"""Several server processes on one PostgreSQL, each with ports of its own on loopback: one service to its clients."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from drivers.server_process import ServerProcess


class ServerCluster:
    """A server for each store that it is given: as a rule the same database, perhaps reached in different ways.

    Each of `servers` may be killed, stopped and started again by itself, and keeps its ports.
    """

    def __init__(
        self,
        folder: Path,
        stores: Sequence[str],
        environment: Mapping[str, str] | None = None,
        module: str = "timer_server",
    ) -> None:
        self.servers: list[ServerProcess] = []
        for number, store in enumerate(stores, 1):
            place = folder / f"server{number}"
            place.mkdir(parents=True, exist_ok=True)
            own = {"TIMER_STORE": store, "TIMER_NAME": place.name}
            self.servers.append(ServerProcess(place, {**own, **(environment or {})}, module))

    def __enter__(self) -> "ServerCluster":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def commands(self) -> str:
        """Where requests are taken, as TIMER_SERVER has it."""
        return ",".join(server.commands for server in self.servers)

    @property
    def events(self) -> str:
        """Where events are told, as TIMER_EVENTS has it."""
        return ",".join(server.events for server in self.servers)

    def start(self) -> "ServerCluster":
        """Starts all at once, and waits until each of them listens. Raises `ServerEnded`."""
        try:
            with ThreadPoolExecutor(len(self.servers)) as threads:
                list(threads.map(ServerProcess.start, self.servers))
        except BaseException:
            self.kill()
            raise
        return self

    def kill(self) -> None:
        """Ends all of them at once, as a crash would, also those that were stopped."""
        for server in self.servers:
            if not server.has_ended:
                server.kill()
