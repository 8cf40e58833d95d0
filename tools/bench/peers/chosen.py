"""Which peers take part in which figure: those that are asked for and installed."""

import importlib.metadata
import importlib.util
import shutil

from bench.peers import beanstalkd_server, redis_server
from bench.run import Run

PROGRAMS = {"Redis": "redis-server", "beanstalkd": "beanstalkd"}


def has_redis(run: Run) -> bool:
    """Whether Redis takes part."""
    return run.peers and shutil.which(PROGRAMS["Redis"]) is not None


def has_beanstalkd(run: Run) -> bool:
    """Whether beanstalkd takes part."""
    return run.peers and shutil.which(PROGRAMS["beanstalkd"]) is not None


def has_apscheduler(run: Run) -> bool:
    """Whether APScheduler takes part."""
    return run.peers and importlib.util.find_spec("apscheduler") is not None


def versions(run: Run) -> dict[str, str]:
    """What takes part, and what is left out since it is not installed."""
    if not run.peers:
        return {}
    shown = dict.fromkeys((*PROGRAMS, "APScheduler"), "skipped, as it is not installed")
    if has_redis(run):
        shown["Redis"] = redis_server.version()
    if has_beanstalkd(run):
        shown["beanstalkd"] = beanstalkd_server.version()
    if has_apscheduler(run):
        shown["APScheduler"] = importlib.metadata.version("apscheduler")
    return shown
