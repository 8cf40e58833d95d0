"""The clocks of a server under trial, which a campaign sets and records."""

import time
from pathlib import Path

from campaigns import clocked_server
from campaigns.history import History
from drivers.server_process import ServerProcess

REAL_SERVER, CLOCKED_SERVER = "timer_server", "campaigns.clocked_server"


class Clocks:
    """They begin as those of the machine are. Setting them is noted in the history."""

    def __init__(self, folder: Path, history: History) -> None:
        self._folder = folder
        self._path = folder / "clocks.json"
        self._history = history
        self._setting = clocked_server.as_the_machine()
        self._latest_s = self.wall_s()
        self._write()

    def server(self, module: str = CLOCKED_SERVER, **environment: str) -> ServerProcess:
        """A server that goes by them."""
        return ServerProcess(self._folder, {**self.environment, **environment}, module)

    @property
    def environment(self) -> dict[str, str]:
        """What has the clocked server go by them."""
        return {clocked_server.CLOCK_FILE: str(self._path)}

    def wall_s(self) -> float:
        """What the wall clock shows, in Unix time."""
        return time.monotonic() + self._setting.wall_ahead_s

    def step(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self._latest_s = max(self._latest_s, self.wall_s())
        self._setting.wall_ahead_s += seconds
        self._write()

    def leap(self, seconds: float) -> None:
        """Somebody sets the wall clock so far beyond anything that it has ever shown."""
        self.step(max(self._latest_s, self.wall_s()) + seconds - self.wall_s())

    def reboot(self, off_s: float) -> None:
        """The machine is off for a time, which goes by for the server alone; its time since boot begins anew."""
        self._setting.boot += 1
        self._setting.boot_ahead_s = -float(Path("/proc/uptime").read_text().split()[0]) + 5
        self._history.mark(f"rebooted after {off_s:.0f} s", passed_s=off_s)
        self.step(off_s)

    def _write(self) -> None:
        begun_s = time.monotonic()
        clocked_server.write(self._path, self._setting)
        self._history.wall_set(begun_s, self._setting.wall_ahead_s)


def clocks_of(server: ServerProcess) -> Clocks:
    """Clocks of its own for a server that is yet to start. What they do to timers that they bind is not recorded."""
    clocks = Clocks(server.folder, History())
    server.environment |= clocks.environment
    if server.module == REAL_SERVER:
        server.module = CLOCKED_SERVER
    return clocks
