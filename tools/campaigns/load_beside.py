"""A recorded load beside what a campaign does to a server: it is served as ever, and its history is judged."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import zmq

from campaigns.campaign import Report
from campaigns.script import PREFIX
from campaigns.target import faults_in_log
from campaigns.trial import Trial
from campaigns.workload import Load
from drivers.server_process import ServerProcess

REST_S = 0.02
REPLIES_AFTERWARDS = 30
"""Requests that are still answered once the campaign is through."""


@contextmanager
def load_beside(
    folder: Path, dice: Random, report: Report, watchers: int = 1, server: ServerProcess | None = None
) -> Iterator[ServerProcess]:
    """A server, by default the real one, under a light load.

    At the end of the block the report gets what the checker finds in the load's history, what the server's log tells
    of faults of its own, and whether the server does not end as it should.
    """
    folder.mkdir(exist_ok=True)
    load = Load(plain=1, library=1, watchers=watchers, rest_s=REST_S, own_prefix=PREFIX)
    with Trial(folder, dice, load, server or ServerProcess(folder)) as trial:
        yield trial.server
        try:
            trial.progress(REPLIES_AFTERWARDS)
            trial.settle()
        except (AssertionError, OSError, zmq.ZMQError) as error:
            report.violations.append(f"the load cannot go on: {type(error).__name__} {error}")
        judged = trial.report(faults=0)
        report.violations += judged.violations + faults_in_log(trial.server)
        report.lost += judged.lost
        report.requests += judged.requests
        report.events += judged.events
        if trial.server.terminate() != os.EX_OK:
            report.violations.append("the server does not end as it should")
