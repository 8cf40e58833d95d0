"""Hostile and clumsy peers against a real server: whatever they do, an honest client beside them is served."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from random import Random

import zmq

from campaigns import hostile_bytes, hostile_crowds, hostile_messages
from campaigns.campaign import Campaign, Length, Report
from campaigns.fuzz import at_random
from campaigns.load_beside import load_beside
from campaigns.target import HONEST_LIMIT_S, Attack, Honest, Target
from drivers.server_process import ServerProcess

ATTACKS = [*hostile_bytes.ATTACKS, *hostile_messages.ATTACKS]
"""Those that are over at once. The same ones again and again are no other attack, so both lengths run each once."""

Crowd = Callable[[ServerProcess, Honest, Length, Report], None]

CROWDS: list[Crowd] = [
    hostile_crowds.floods,
    hostile_crowds.idle_connections,
    hostile_crowds.deaf_peer,
    hostile_crowds.deaf_subscriber,
]


def run(folder: Path, length: Length, dice: Random) -> Report:
    """All attacks one after the other on one server, in an order of the dice; then each crowd on one of its own."""
    report = Report()
    with load_beside(folder / "attacks", dice, report) as server:
        survive(server, dice.sample(ATTACKS, len(ATTACKS)), dice, report)
    for crowd in CROWDS:
        # Memory that one crowd has made a server take and give back would hide what the next one takes.
        with load_beside(folder / crowd.__name__, dice, report) as server, ExitStack() as stack:
            honest = Honest(server, stack)
            _note(report, crowd.__name__, partial(crowd, server, honest, length, report))
    executions, findings = at_random(length.pick(2, 120), dice)
    report.figures["messages fuzzed"] = (
        f"{executions:,}, mutated at random (guided by coverage: tools/campaigns/fuzz.py)"
    )
    report.violations += findings
    return report


def survive(server: ServerProcess, attacks: Iterable[Attack], dice: Random, report: Report) -> None:
    """Runs attacks, and asks an honest client after each."""
    slowest_s = 0.0
    with ExitStack() as stack:
        honest = Honest(server, stack)
        for attack in attacks:
            report.faults += 1
            with ExitStack() as held:
                target = Target(server.commands, server.events, dice, held)
                _note(report, attack.__name__, partial(attack, target))
                took_s = _ask(honest, attack.__name__, report)
            if took_s is None or not _note(report, attack.__name__, partial(_listen, honest)):
                break
            slowest_s = max(slowest_s, took_s)
    report.figures["attacks"] = f"{report.faults}, honest latency after one at most {slowest_s * 1000:.0f} ms"


def _ask(honest: Honest, name: str, report: Report) -> float | None:
    """How many seconds an honest client waited for its answer; None if it has none."""
    try:
        took_s = honest.ask()
    except zmq.Again:
        report.violations.append(f"{name}: an honest client has no answer after {HONEST_LIMIT_S:.0f} s")
        return None
    return took_s


def _listen(honest: Honest) -> None:
    assert honest.listen(), "events no longer arrive"


def _note(report: Report, name: str, act: Callable[[], None]) -> bool:
    """Does something; what goes wrong with the server in it is a violation. Whether nothing did."""
    try:
        act()
    except (AssertionError, OSError, zmq.ZMQError) as error:
        report.violations.append(f"{name}: {type(error).__name__} {error}")
        return False
    return True


CAMPAIGN = Campaign(
    "hostile",
    "Whatever peers send, or leave unread, honest clients are served, memory is bounded and the server lives.",
    run,
    least_faults=1_000,
    least_requests=200,
)
