"""The mixed load of a campaign: clients of every kind in threads of their own, and those who watch."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random

from campaigns.clients import AsyncLibraryClient, Client, LibraryClient, PlainClient, patient
from campaigns.history import History
from campaigns.script import Script
from campaigns.watcher import Watcher
from timer_protocol.settings import endpoints

STOP_LIMIT_S = 60
TASKS = 4
"""Tasks that share one asynchronous client."""


@dataclass(frozen=True)
class Load:
    """How many clients of each kind there are, and how long each rests on average between two messages, in seconds."""

    plain: int = 2
    library: int = 1
    asynchronous: int = 0
    watchers: int = 1
    rest_s: float = 0.004
    resumes_after: int = 400
    """Events, on average, after which a watcher drops its client and goes on with a new one."""
    own_prefix: str = ""
    """What ids have to begin with to be watched and judged, where others use the server as well."""
    wall_s: Callable[[], float] | None = None
    """The server's wall clock. Where it is known, every other timer is started for a moment of it."""


class Workload:
    """Asks from `start` to `stop`; the watchers go on until `close`. The same dice draw the same requests."""

    def __init__(self, load: Load, history: History, server: str, events: str, dice: Random) -> None:
        self._history = history
        self._rest_s = load.rest_s
        self._script = Script(load.wall_s)
        self._stopped = threading.Event()
        self._settings = patient(server, events)
        self._clients: list[Client] = [
            *(PlainClient(f"plain/{number}", history, _beginning_at(number, server)) for number in range(load.plain)),
            *(LibraryClient(f"library/{number}", history, self._settings) for number in range(load.library)),
        ]
        self.watchers = [
            Watcher(f"watcher/{number}", history, self._settings, _own(dice), load.resumes_after, load.own_prefix)
            for number in range(load.watchers)
        ]
        work: list[Callable[[], None]] = [partial(self._work, client, _own(dice)) for client in self._clients]
        work += [partial(self._work_in_tasks, f"async/{number}", _own(dice)) for number in range(load.asynchronous)]
        self._threads = [threading.Thread(target=one, daemon=True) for one in work]

    def start(self) -> None:
        """Lets all clients loose."""
        for watcher in self.watchers:
            watcher.start()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Lets each client end what it has begun. The server has to be there."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(STOP_LIMIT_S)
            assert not thread.is_alive(), "a client does not end"
        for client in self._clients:
            client.close()

    def abandon(self) -> None:
        """Has all clients give up what they have begun: there is no server any more."""
        for client in self._clients:
            client.give_up()
        self.stop()

    def close(self) -> None:
        """Ends the watchers."""
        for watcher in self.watchers:
            watcher.close(STOP_LIMIT_S)

    def _work(self, client: Client, dice: Random) -> None:
        try:
            while not self._stopped.wait(dice.expovariate(1 / self._rest_s)):
                requests = self._script.next(dice)
                self._script.learn(requests, client.ask(requests))
        except Exception as failure:  # a thread that dies in silence would make the load smaller
            self._history.failed(type(client).__name__, repr(failure))

    def _work_in_tasks(self, name: str, dice: Random) -> None:
        try:
            asyncio.run(self._run_tasks(name, dice))
        except Exception as failure:  # the same for the tasks
            self._history.failed(name, repr(failure))

    async def _run_tasks(self, name: str, dice: Random) -> None:
        client = AsyncLibraryClient(name, self._history, self._settings)
        try:
            await asyncio.gather(*(self._work_as_task(client, _own(dice)) for _ in range(TASKS)))
        finally:
            await client.close()

    async def _work_as_task(self, client: AsyncLibraryClient, dice: Random) -> None:
        while not self._stopped.is_set():
            requests = self._script.next(dice)
            self._script.learn(requests, await client.ask(requests))
            await asyncio.sleep(dice.expovariate(1 / self._rest_s))


def _beginning_at(number: int, server: str) -> str:
    """The addresses of servers in another order for each client, so that all of them are asked."""
    several = endpoints(server)
    first = number % len(several)
    return ",".join(several[first:] + several[:first])


def _own(dice: Random) -> Random:
    """Dice for one thread, which nobody else throws."""
    return Random(dice.getrandbits(64))  # noqa: S311 - moments, not secrets
