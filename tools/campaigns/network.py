"""The network campaign: what lies between client and server fails in every way that we can make it fail."""

from pathlib import Path
from random import Random

from campaigns.campaign import Campaign, Length, Report, joined
from campaigns.container_faults import CUT_CLIENT, CUT_WATCHER
from campaigns.network_containers import CURVE, run_containers
from campaigns.network_loopback import run_loopback
from campaigns.network_replies import run_replies
from drivers.docker_engine import engine_fault, images, is_required
from drivers.stack import FILES

CLAIM = (
    "Clients and watchers recover by themselves from whatever the network does: every acknowledged start ends as it "
    "should, every watcher sees every event once and in order, and a request that comes twice has one effect."
)
ENCRYPTED = (CUT_CLIENT, CUT_WATCHER)


def run(folder: Path, length: Length, dice: Random) -> Report:
    """All parts; those in containers where an engine answers."""
    parts: dict[str, Report] = {}
    for name, part in (("loopback", run_loopback), ("replies", run_replies)):
        place = folder / name
        place.mkdir()
        parts[name] = part(place, length, dice)
    if (fault := engine_fault()) is not None:
        not_run = f"no Docker engine with compose answers ({fault})"
        parts["containers"] = Report(figures={"not run": not_run}, violations=[not_run] if is_required() else [])
        return joined(parts)
    with images() as tag:
        parts["containers"] = run_containers(tag, length, dice)
        parts["encrypted containers"] = run_encrypted(tag, dice)
    return joined(parts)


def run_encrypted(tag: str, dice: Random) -> Report:
    """One round of what needs new connections, with deploy/compose.curve.yml."""
    return run_containers(tag, Length.SHORT, dice, files=[*FILES, CURVE], only=ENCRYPTED)


CAMPAIGN = Campaign("network", CLAIM, run, least_faults=37)
