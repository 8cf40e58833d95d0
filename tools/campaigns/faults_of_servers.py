"""What is done to servers of one store, while the others go on."""

import signal
import time
from random import Random

from campaigns.clocks import Clocks, clocks_of
from campaigns.history import CONTINUED, RESTARTED
from campaigns.on_postgres import ServersTrial
from campaigns.owners import living, wait_until_beaten
from drivers.postgres import Cluster
from drivers.server_cluster import ServerCluster
from drivers.server_process import ServerProcess

REPLIES_WITHOUT = 30
"""Requests that the others answer before a server is started again."""

BEATS_AFTER = 4
"""Beats of a server that has stood still in which it may find others silent."""


class FaultsOfServers:
    """Faults of servers under trial. `violations` are what their own course shows to be wrong."""

    def __init__(self, trial: ServersTrial, postgres: Cluster, clocks: dict[str, Clocks], dice: Random) -> None:
        self.violations: list[str] = []
        self._trial = trial
        self._postgres = postgres
        self._clocks = clocks
        self._dice = dice

    def kill(self, server: ServerProcess | None = None) -> None:
        """A server dies, by default any, and is started again once the others have served without it."""
        server = server or self._any()
        self._trial.history.mark("killed")
        server.kill()
        self._start_again(server)

    def restart(self) -> None:
        """A server is told to end, and started again at once."""
        server = self._any()
        self._trial.history.mark("told to stop")
        if (code := server.terminate()) != 0:
            self.violations.append(f"a_server_ends_as_it_should: it exited with {code}; expected 0")
        server.start()
        self._trial.history.mark(RESTARTED)

    def stop(self, for_s: float, step_s: float, server: ServerProcess | None = None) -> None:
        """A server stands still, by default any, its wall clock is set meanwhile, and nobody takes anything from the
        others."""
        server = server or self._any()
        before = living(self._postgres)
        self._trial.history.mark("stopped")
        server.signal(signal.SIGSTOP)
        self._clocks[_name(server)].step(step_s)
        time.sleep(for_s)  # how long it stands still is the fault
        server.signal(signal.SIGCONT)
        self._trial.history.mark(CONTINUED)
        wait_until_beaten(self._postgres, _name(server), BEATS_AFTER)
        self._trial.progress(REPLIES_WITHOUT)
        after = living(self._postgres)
        self.violations += [
            f"nothing_is_taken_from_the_living: {name} was declared dead while {_name(server)} stood still"
            for name, incarnation in before.items()
            if name != _name(server) and after.get(name) != incarnation
        ]

    def _any(self) -> ServerProcess:
        return self._dice.choice(self._trial.server.servers)

    def _start_again(self, server: ServerProcess) -> None:
        if len(self._trial.server.servers) > 1:
            self._trial.progress(REPLIES_WITHOUT)
        server.start()
        self._trial.history.mark(RESTARTED)


def clocks_of_all(servers: ServerCluster) -> dict[str, Clocks]:
    """Clocks for each server, by its name."""
    return {_name(server): clocks_of(server) for server in servers.servers}


def _name(server: ServerProcess) -> str:
    return server.environment["TIMER_NAME"]
