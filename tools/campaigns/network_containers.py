"""The part in containers: a server, a load and watchers in a compose project, and a network that fails between them."""

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from random import Random

import msgspec

from campaigns import network_audit, network_load
from campaigns.campaign import Length, Report
from campaigns.container_faults import (
    BY_ENGINE,
    BY_FILTER,
    LOSE,
    NETEM,
    NOT_IN_SHORT,
    ContainerFault,
    Scene,
    cut,
    filter_fault,
    has_netem,
    rejoin,
)
from campaigns.network_audit import Audit
from campaigns.network_collect import Lines, printing
from campaigns.network_company import Company
from campaigns.network_countdown import Countdown
from campaigns.network_load import Told
from drivers.runs import new_project
from drivers.stack import FILES, ROOT, Stack, run
from timer_client import Event

CURVE = ROOT / "deploy" / "compose.curve.yml"
COUNTDOWN = "countdown"
COUNTDOWN_S = 4
ROUNDS = 9
"""Of the long form; each has every fault."""

END_LIMIT_S = 20.0
IN_CLIENT = ("run", "--rm", "-T", "--no-deps")


def run_containers(
    tag: str, length: Length, dice: Random, *, files: Sequence[Path] = FILES, only: Sequence[ContainerFault] = ()
) -> Report:
    """All faults, or some only, while a load and a watcher run; first a countdown is cut off over its end."""
    with _project(tag, files) as stack, ExitStack() as clients:
        stack.compose("up", "--detach", "server")
        stack.follow_log().expect('"event":"listening"')
        scene = Scene(stack, f"{stack.project}-load", f"{stack.project}-watcher")
        company = _company(scene, dice, clients)
        company.wait_until_ready()
        violations = _cut_over_the_end(scene, company)
        figures: dict[str, str] = {}
        faults = only or _possible(scene, figures)
        left_out = set() if only or length is Length.LONG else dice.choice(NOT_IN_SHORT)
        for _ in range(length.pick(1, ROUNDS)):
            for fault in dice.sample(faults, len(faults)):
                if fault not in left_out:
                    company.recover(fault.kind, fault.happen(scene))
        report = company.finish(partial(_audit, stack), {COUNTDOWN})
        report.violations += violations
        report.figures |= figures
        return report


@contextmanager
def _project(tag: str, files: Sequence[Path]) -> Iterator[Stack]:
    stack = Stack(new_project(), tag, files)
    try:
        yield stack
    finally:
        stack.close()


def _company(scene: Scene, dice: Random, clients: ExitStack) -> Company:
    def started(name: str, *command: str) -> "subprocess.Popen[str]":
        line = scene.stack.line(*IN_CLIENT, "--name", name, *command)
        return clients.enter_context(printing(line, scene.stack.env, ROOT))

    seed = dice.getrandbits(32)
    program = Path(network_load.__file__).read_text()
    company = Company()
    events = started(scene.watcher, "client", "events", "--json", "--after", "start")
    company.add_watcher("timer events", Lines(events, Event, _signal(scene.watcher, "INT")))
    load = started(scene.load, "--entrypoint", "python", "client", "-c", program, "load/", str(seed))
    company.add_load("load/", seed, Lines(load, Told, _signal(scene.load, "TERM")))
    return company


def _signal(container: str, name: str) -> Callable[[], object]:
    return partial(run, ["docker", "kill", "--signal", name, container])


def _cut_over_the_end(scene: Scene, company: Company) -> list[str]:
    """What is wrong with a countdown that the client is cut off from until after its end."""
    name = f"{scene.stack.project}-countdown"
    seconds = ("0", "0", str(COUNTDOWN_S))
    countdown = Countdown(scene.stack.run_client("start", *seconds, "--json", "--id", COUNTDOWN, name=name))
    cut(scene.network, name)
    in_time = countdown.left_s > 0
    company.wait_for_end(COUNTDOWN, COUNTDOWN_S + END_LIMIT_S)
    rejoin(scene.network, name)
    rejoined_s = time.monotonic()
    violations = countdown.violations()
    company.record("countdown cut off over its end", time.monotonic() - rejoined_s)
    return violations if in_time else [*violations, "the countdown was too short for this machine"]


def _possible(scene: Scene, figures: dict[str, str]) -> Sequence[ContainerFault]:
    """The faults that can be made here; the figures say what stands for the others."""
    if (fault := filter_fault(scene.load)) is not None:
        figures["dropped packets"] = fault
        return BY_ENGINE
    if has_netem(scene.load):
        figures["loss and delay"] = "by netem"
        return *BY_ENGINE, *BY_FILTER, NETEM
    figures["loss and delay"] = "loss by iptables, as this kernel has no netem; delay by the proxy of the other part"
    return *BY_ENGINE, *BY_FILTER, LOSE


def _audit(stack: Stack) -> Audit:
    program = Path(network_audit.__file__).read_text()
    done = stack.compose(*IN_CLIENT, "--entrypoint", "python", "client", "-c", program)
    return msgspec.json.decode(done.stdout, type=Audit)
