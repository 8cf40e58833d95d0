"""The server is killed at every point of its turn at which what is on disk and what has been told differ."""

import signal
from pathlib import Path
from random import Random

from campaigns.campaign import Campaign, Length, Report
from campaigns.doomed_server import POINTS, within_load
from campaigns.trial import Trial
from campaigns.workload import Load
from drivers.server_process import ServerProcess

SHORT_ROUNDS, LONG_ROUNDS = 1, 15
PASSES = (10, 150)
"""How often a point is passed before it is the end."""

DOOM_LIMIT_S = 30
REAL, DOOMED = "timer_server", "campaigns.doomed_server"


def _run(folder: Path, length: Length, dice: Random) -> Report:
    points = [(point, is_pipelined) for point in POINTS for is_pipelined in (False, True)]
    points *= length.pick(SHORT_ROUNDS, LONG_ROUNDS)
    dice.shuffle(points)
    # Bursts, so that a turn has several replies and events.
    with Trial(folder, dice, Load(plain=3, library=2, rest_s=0.002), ServerProcess(folder)) as trial:
        trial.progress(50)
        for point, is_pipelined in points:
            _die_at(point, trial, dice, is_pipelined)
        trial.server.module = REAL
        trial.server.start()
        trial.settle()
    return trial.report(len(points))


def _die_at(point: str, trial: Trial[ServerProcess], dice: Random, is_pipelined: bool) -> None:
    """Starts a server that is to die at a point, with turns in flight or without, and waits until it has."""
    server = trial.server
    server.kill()
    server.module = DOOMED
    server.environment |= {"DOOM_POINT": point, "DOOM_COUNT": str(dice.randint(*PASSES))}
    server.environment["DOOM_PIPELINED"] = "yes" if is_pipelined else ""
    if point == within_load.__name__:
        server.environment["DOOM_COUNT"] = str(dice.randint(0, 20))
        server.launch()
    else:
        server.start()
    assert server.wait(DOOM_LIMIT_S) == -signal.SIGKILL, f"the server did not die at {point}: {server.lines[-3:]}"
    trial.history.mark(f"killed {point}{' in flight' if is_pipelined else ''}")


CAMPAIGN = Campaign(
    "turn_points",
    "Killed at each point of the turn, with others in flight and without (before, within and after the commit, after "
    "some replies, before and within publishing, while it loads), the server loses nothing acknowledged, and tells "
    "later what it has not told.",
    _run,
    least_faults=14,
    least_requests=200,
)
