"""What a network does to containers, by name, done by the Docker engine and by the kernel's packet filter."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from drivers.stack import Stack, inspect, run

AWAY_S = 1.5
SILENCE_S = 4.0
"""Longer than a client waits for a sign of life before it gives a connection up."""

LOSSY_S = 2.0
LOSS = 0.1


@dataclass(frozen=True)
class Scene:
    """A compose project, and the names of its client containers."""

    stack: Stack
    load: str
    watcher: str

    @property
    def network(self) -> str:
        """The network that all are on."""
        return f"{self.stack.project}_default"

    def server(self) -> str:
        """The server's container of this moment."""
        return self.stack.container("server")


@dataclass(frozen=True)
class ContainerFault:
    """Something that is done to the network of a scene, and undone."""

    kind: str
    happen: Callable[[Scene], float]
    """Returns the moment at which undoing it began."""


def cut(network: str, *containers: str) -> None:
    """Takes containers off the network."""
    for container in containers:
        run(["docker", "network", "disconnect", network, container])


def rejoin(network: str, *containers: str) -> None:
    """Puts containers on the network again."""
    for container in containers:
        run(["docker", "network", "connect", network, container])


def filter_fault(container: str) -> str | None:
    """Why the packets of a container cannot be dropped from here, in one line; None where they can."""
    if os.geteuid() != 0:
        return "not permitted: needs root"
    if missing := [tool for tool in ("nsenter", "iptables") if shutil.which(tool) is None]:
        return f"not possible: {missing[0]} is not installed"
    listed = _inside(container, "iptables", "--list-rules", check=False)
    return None if listed.returncode == 0 else f"not permitted: {listed.stderr.strip().splitlines()[-1]}"


def has_netem(container: str) -> bool:
    """Whether this kernel can delay and lose packets by itself."""
    if shutil.which("tc") is None:
        return False
    added = _inside(container, "tc", "qdisc", "add", "dev", "eth0", "root", "netem", "delay", "1ms", check=False)
    if added.returncode == 0:
        _inside(container, "tc", "qdisc", "del", "dev", "eth0", "root")
    return added.returncode == 0


def _cut_client(scene: Scene) -> float:
    cut(scene.network, scene.load)
    time.sleep(AWAY_S)  # how long it is away
    undone_s = time.monotonic()
    rejoin(scene.network, scene.load)
    return undone_s


def _cut_watcher(scene: Scene) -> float:
    cut(scene.network, scene.watcher)
    time.sleep(SILENCE_S)  # how long it is away
    undone_s = time.monotonic()
    rejoin(scene.network, scene.watcher)
    return undone_s


def _flap(scene: Scene) -> float:
    for _ in range(3):
        cut(scene.network, scene.load, scene.watcher)
        undone_s = time.monotonic()
        rejoin(scene.network, scene.load, scene.watcher)
    return undone_s


def _move(scene: Scene) -> float:
    """Makes the server anew after others have taken its address."""
    stack = scene.stack
    before = stack.address("server")
    stack.compose("kill", "server")
    stack.compose("rm", "--force", "server")
    taken = len(stack.compose("ps", "--all", "--quiet", "squatter").stdout.split())
    stack.compose("up", "--detach", "--no-recreate", "--scale", f"squatter={taken + 1}", "squatter")
    undone_s = time.monotonic()
    stack.compose("up", "--detach", "server")
    assert stack.address("server") != before
    return undone_s


def _pause(scene: Scene) -> float:
    server = scene.server()
    run(["docker", "pause", server])
    time.sleep(SILENCE_S)  # how long it stands still
    undone_s = time.monotonic()
    run(["docker", "unpause", server])
    return undone_s


def _drop_server(scene: Scene) -> float:
    with _filtered(scene.server(), "-j", "DROP"):
        time.sleep(SILENCE_S)  # how long it lasts
        return time.monotonic()


def _drop_watcher(scene: Scene) -> float:
    with _filtered(scene.watcher, "-j", "DROP"):
        time.sleep(SILENCE_S)  # how long it lasts
        return time.monotonic()


def _lose(scene: Scene) -> float:
    with _filtered(scene.server(), "-m", "statistic", "--mode", "random", "--probability", str(LOSS), "-j", "DROP"):
        time.sleep(LOSSY_S)  # how long it lasts
        return time.monotonic()


def _netem(scene: Scene) -> float:
    server = scene.server()
    netem = ["netem", "delay", "100ms", "50ms", "loss", f"{LOSS:.0%}"]
    _inside(server, "tc", "qdisc", "add", "dev", "eth0", "root", *netem)
    time.sleep(LOSSY_S)  # how long it lasts
    undone_s = time.monotonic()
    _inside(server, "tc", "qdisc", "del", "dev", "eth0", "root")
    return undone_s


@contextmanager
def _filtered(container: str, *rule: str) -> Iterator[None]:
    """A rule for all that comes in and goes out, but for what the container says to itself: its resolver is there."""
    rules = (["INPUT", "!", "--in-interface", "lo", *rule], ["OUTPUT", "!", "--out-interface", "lo", *rule])
    for chain in rules:
        _inside(container, "iptables", "--append", *chain)
    try:
        yield
    finally:
        for chain in rules:
            _inside(container, "iptables", "--delete", *chain)


def _inside(container: str, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs a command of this machine in the network of a container."""
    pid = inspect(container)["State"]["Pid"]
    return run(["nsenter", "--target", str(pid), "--net", *command], check=check)


CUT_CLIENT = ContainerFault("client cut off and back", _cut_client)
CUT_WATCHER = ContainerFault("watcher cut off and back", _cut_watcher)
FLAP = ContainerFault("both cut off and back three times", _flap)
MOVE = ContainerFault("server made anew under another address", _move)
PAUSE = ContainerFault("server paused for longer than heartbeats", _pause)
DROP_SERVER = ContainerFault("all packets of the server dropped", _drop_server)
DROP_WATCHER = ContainerFault("all packets of the watcher dropped", _drop_watcher)
LOSE = ContainerFault(f"{LOSS:.0%} of the server's packets dropped", _lose)
NETEM = ContainerFault(f"{LOSS:.0%} of the server's packets lost, the others 100 ms late", _netem)

BY_ENGINE = (CUT_CLIENT, CUT_WATCHER, FLAP, MOVE, PAUSE)
BY_FILTER = (DROP_SERVER, DROP_WATCHER)
NOT_IN_SHORT = ({CUT_WATCHER, DROP_SERVER}, {CUT_WATCHER, DROP_WATCHER})
"""What the short form leaves out, one or the other: its time is short, and the rest has the like of it."""
