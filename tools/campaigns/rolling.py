"""The clean path: rolling restarts under load, at which clients notice nothing but a retry."""

import time
from itertools import cycle, islice
from pathlib import Path
from random import Random

from campaigns.campaign import Campaign, Length, Report
from campaigns.crash import PIPELINED
from campaigns.history import RESTARTED
from campaigns.trial import Trial
from campaigns.workload import Load
from drivers.server_process import ServerProcess

SHORT_RESTARTS, LONG_RESTARTS = 4, 60
REPLIES_BETWEEN = 150
UP_S = (0.0, 0.5)
"""Beside the time for those replies, how long the server is let run."""


def _run(folder: Path, length: Length, dice: Random) -> Report:
    restarts = length.pick(SHORT_RESTARTS, LONG_RESTARTS)
    exits: list[int] = []
    # All clients are the library's: what reaches their callers is what is tested.
    with Trial(folder, dice, Load(plain=0, library=3, asynchronous=1, watchers=2), ServerProcess(folder)) as trial:
        # Every other server has turns in flight when it is told to stop.
        for module in islice(cycle([PIPELINED, trial.server.module]), restarts):
            trial.progress(REPLIES_BETWEEN)
            time.sleep(dice.uniform(*UP_S))  # the moment of the stop is the point
            trial.history.mark("told to stop")
            exits.append(trial.server.terminate())
            trial.server.module = module
            trial.server.start()
            trial.history.mark(RESTARTED)
        trial.settle()
    report = trial.report(restarts)
    report.violations += [f"a server that was told to stop exited with {code}; expected 0" for code in exits if code]
    return report


CAMPAIGN = Campaign(
    "rolling",
    "Stopped with SIGTERM and started again under load, the server loses nothing, and the callers of the library's "
    "clients notice nothing but a longer call: no exception reaches them.",
    _run,
    least_faults=4,
    least_requests=200,
)
