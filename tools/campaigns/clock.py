"""Clocks jump, the server is stopped in its tracks, the machine seems to reboot: deadlines hold."""

import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

from campaigns import clocked_server
from campaigns.campaign import Campaign, Length, Report
from campaigns.clocked_server import Setting
from campaigns.trial import Trial
from campaigns.workload import Load
from drivers.server_process import ServerProcess

HOUR_S = 3600
STEPS_S = (-HOUR_S, HOUR_S, -24 * HOUR_S)
STOPPED_S = (1.2, 3.5)
"""How long the process is stopped: longer than most of the short timers take."""

SHORT_ROUNDS, LONG_ROUNDS = 1, 8
REPLIES_BETWEEN = 40
BEAT_S = 1.1
"""By then the server has looked at the wall clock."""


class Clocks:
    """The clocks of a server under trial."""

    def __init__(self, trial: Trial, path: Path) -> None:
        self._trial = trial
        self._path = path
        self._setting = Setting()

    def step_while_running(self, seconds: float) -> None:
        """Somebody sets the wall clock of a server at work."""
        self._step(seconds)
        time.sleep(BEAT_S)  # no reply tells when the server looks at the wall clock

    def step_across_a_restart(self, seconds: float) -> None:
        """Somebody sets the wall clock while the server is down."""
        self._trial.server.kill()
        self._step(seconds)
        self._trial.server.start()

    def reboot(self, off_s: float) -> None:
        """The machine is off for a time, which goes by for the server alone; its time since boot begins anew."""
        self._trial.server.terminate()
        self._setting.boot += 1
        self._setting.boot_ahead_s = -float(Path("/proc/uptime").read_text().split()[0]) + 5
        self._setting.wall_ahead_s += off_s
        clocked_server.write(self._path, self._setting)
        self._trial.history.mark(f"rebooted after {off_s:.0f} s", passed_s=off_s)
        self._trial.server.start()

    def freeze(self, seconds: float) -> None:
        """The process stands still while its deadlines pass."""
        self._trial.server.signal(signal.SIGSTOP)
        self._trial.history.mark("stopped")
        time.sleep(seconds)  # how long it stands still is the fault
        self._trial.server.signal(signal.SIGCONT)
        self._trial.history.mark("continued")

    def _step(self, seconds: float) -> None:
        self._setting.wall_ahead_s += seconds
        clocked_server.write(self._path, self._setting)
        self._trial.history.mark(f"stepped by {seconds:+.0f} s")


def _faults(clocks: Clocks, dice: Random) -> list[Callable[[], None]]:
    """Everything that is done to the clocks in one round."""
    faults: list[Callable[[], None]] = [
        *(partial(clocks.step_while_running, step_s) for step_s in STEPS_S),
        *(partial(clocks.step_across_a_restart, step_s) for step_s in STEPS_S),
        partial(clocks.freeze, dice.uniform(*STOPPED_S)),
        partial(clocks.reboot, HOUR_S),
    ]
    dice.shuffle(faults)
    return faults


def _run(folder: Path, length: Length, dice: Random) -> Report:
    path = folder / "clocks.json"
    clocked_server.write(path, Setting())
    server = ServerProcess(folder, {"CLOCK_FILE": str(path)}, "campaigns.clocked_server")
    with Trial(folder, dice, Load(), server) as trial:
        clocks = Clocks(trial, path)
        faults = [fault for _ in range(length.pick(SHORT_ROUNDS, LONG_ROUNDS)) for fault in _faults(clocks, dice)]
        for fault in faults:
            trial.progress(REPLIES_BETWEEN)
            fault()
        trial.progress(REPLIES_BETWEEN)
        trial.settle()
    return trial.report(len(faults))


CAMPAIGN = Campaign(
    "clock",
    "The wall clock steps by -1 h, +1 h and -1 day, while the server runs and across restarts, the process stands "
    "still for longer than deadlines, the machine reboots: no deadline moves, what is overdue fires once, never early.",
    _run,
    least_faults=8,
    least_requests=200,
)
