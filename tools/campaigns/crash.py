"""The server is killed at random moments and started again, under mixed load; every other one has turns in flight."""

import time
from itertools import cycle, islice
from pathlib import Path
from random import Random

from campaigns.campaign import Campaign, Length, Report
from campaigns.history import RESTARTED
from campaigns.trial import Trial
from campaigns.workload import Load
from drivers.server_process import ServerProcess

SHORT_KILLS, LONG_KILLS = 8, 220
REPLIES_BETWEEN = 15
PIPELINED = "campaigns.pipelined_server"
UP_S = (0.0, 0.4)
"""Beside the time for those replies, how long the server is let run between two kills."""


def storm(folder: Path, dice: Random, kills: int, server: ServerProcess | None = None) -> Report:
    """Kills a server so many times: the given one, or the real one in turns with one whose commits take their time."""
    with Trial(folder, dice, Load(), server or ServerProcess(folder)) as trial:
        modules = cycle([trial.server.module] if server else [PIPELINED, trial.server.module])
        for module in islice(modules, kills):
            trial.progress(REPLIES_BETWEEN)
            time.sleep(dice.uniform(*UP_S))  # the moment of the fault is the point
            trial.history.mark("killed")
            trial.server.kill()
            trial.server.module = module
            trial.server.start()
            trial.history.mark(RESTARTED)
        trial.settle()
    return trial.report(kills)


def _run(folder: Path, length: Length, dice: Random) -> Report:
    return storm(folder, dice, length.pick(SHORT_KILLS, LONG_KILLS))


CAMPAIGN = Campaign(
    "crash",
    "Killed with SIGKILL at random moments under mixed load, the server loses nothing that it has acknowledged, "
    "invents nothing, and does nothing twice: all invariants hold over the whole history.",
    _run,
    least_faults=SHORT_KILLS,
    least_requests=200,
)
