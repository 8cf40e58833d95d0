"""The server is killed at random moments and started again, under mixed load."""

import time
from pathlib import Path
from random import Random

from campaigns.campaign import Campaign, Length, Report
from campaigns.trial import RESTARTED, Trial
from campaigns.workload import Load
from drivers.server_process import ServerProcess

SHORT_KILLS, LONG_KILLS = 8, 220
REPLIES_BETWEEN = 15
UP_S = (0.0, 0.4)
"""Beside the time for those replies, how long the server is let run between two kills."""


def storm(folder: Path, dice: Random, kills: int, server: ServerProcess | None = None) -> Report:
    """Kills a server, by default the real one, so many times."""
    with Trial(folder, dice, Load(), server) as trial:
        for _ in range(kills):
            trial.progress(REPLIES_BETWEEN)
            time.sleep(dice.uniform(*UP_S))  # the moment of the fault is the point
            trial.history.mark("killed")
            trial.server.kill()
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
