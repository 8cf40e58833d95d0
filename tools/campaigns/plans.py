"""Plans start their timers while the server is killed: at random, and at every point of the turn."""

import signal
import time
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from random import Random

from campaigns.campaign import Campaign, Length, Report
from campaigns.clocks import CLOCKED_SERVER, Clocks
from campaigns.crash import PIPELINED
from campaigns.doomed_server import POINTS, within_load
from campaigns.history import History
from campaigns.plan_client import REPEATED, Lives, PlanClient
from campaigns.plan_facts import Facts
from campaigns.plan_invariants import LOSSES, judge_plans
from campaigns.plan_log import read_log, resting
from campaigns.plan_notes import PLAN_HISTORY, AtRest, Closed, Notes, PlanStood, Told
from campaigns.target import faults_in_log
from campaigns.turn_points import DOOM_LIMIT_S, DOOMED
from drivers.peers import requester

CLIENTS = 3
SHORT_ROUNDS, LONG_ROUNDS = 1, 20
KILLS_A_ROUND = 3
ANSWERS_BETWEEN = 15
ANSWERS_LIMIT_S = 30
UP_S = (0.0, 0.5)
"""Beside the time for those answers, how long the server is let run between two kills."""

PASSES = (3, 15)
"""How often a point is passed before it is the end."""

LOADED = (0, 8)
"""How many entries of its log a server has read when it is killed: fewer than the first answers leave there."""

STEPS_S = (-30, 55, 70, 200, 1_000)
"""How the wall clock is set at a fault: minutes pass for the cron rules."""

RANDOM = "a kill"


@dataclass(frozen=True)
class Fault:
    """A kill at random, or at a point of the turn, of a server with turns in flight or without."""

    point: str
    is_pipelined: bool

    def __str__(self) -> str:
        return f"{self.point}{' in flight' if self.is_pipelined else ''}"


class Storm:
    """A server with plans and their clients, while entered. It is killed as often as it is told to be."""

    def __init__(
        self, folder: Path, dice: Random, clients: int = CLIENTS, module: str = CLOCKED_SERVER, **environment: str
    ) -> None:
        self.notes = Notes()
        self._folder = folder
        self._dice = dice
        self.clocks = Clocks(folder, History())
        self.server = self.clocks.server(module, **environment)
        self._lives = Lives()
        self._wanted = clients
        self._clients: list[PlanClient] = []
        self._stack = ExitStack()

    def __enter__(self) -> "Storm":
        self._stack.enter_context(self.server)
        self._clients = [self.client(f"client{number}") for number in range(self._wanted)]
        for client in self._clients:
            client.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self.notes.write(self._folder / PLAN_HISTORY)

    def client(self, name: str, repeated: float = REPEATED) -> PlanClient:
        """A client that has yet to be started."""
        dice = Random(self._dice.getrandbits(64))  # noqa: S311 - moments, not secrets
        return PlanClient(name, self.server.commands, self._lives, self.notes, dice, repeated)

    def strike(self, fault: Fault) -> None:
        """Has the server die while it is asked, sets the wall clock, and starts the server again."""
        self.notes.wait_for_answers(ANSWERS_BETWEEN, ANSWERS_LIMIT_S)
        if fault.point == RANDOM:
            time.sleep(self._dice.uniform(*UP_S))  # the moment of the fault is the point
        else:
            self._die_at(fault)
        self.come_back(str(fault), PIPELINED if fault.is_pipelined else CLOCKED_SERVER, self._dice.choice(STEPS_S))

    def come_back(self, fault: str, module: str, step_s: float = 0) -> None:
        """Ends the server, looks at what it has left, and starts it again."""
        self._look(fault)
        self.clocks.step(step_s)
        self.server.module = module
        self.server.environment.pop("DOOM_POINT", None)
        self.server.start()

    def settle(self) -> None:
        """Ends the clients and the server, and writes down how everything stands."""
        for client in self._clients:
            client.stop()
        with requester(self.server.commands) as rpc:
            (log,) = rpc.call("server.info")["logs"].values()
        closed = Closed(log["now_ms"], round(self.clocks.wall_s() * 1000))
        self._look("the end")
        self.notes.add(*read_log(self._folder), closed)

    def report(self, faults: int) -> Report:
        """What came of it."""
        facts, violations = Facts.of(self.notes.all), judge_plans(self.notes.all)
        told = [note for note in self.notes.all if isinstance(note, Told)]
        stood = [entry for entries in facts.log.values() for entry in entries if isinstance(entry, PlanStood)]
        skipped = sum(entry.skipped[2] for entry in stood if entry.skipped is not None)
        names = {invariant.__name__ for invariant in LOSSES}
        return Report(
            faults=faults,
            requests=len(told),
            events=sum(map(len, facts.events.values())),
            lost=sum(violation.invariant in names for violation in violations),
            violations=[
                *map(str, violations),
                *(f"a client failed: {client.failure}" for client in self._clients if client.failure),
                *faults_in_log(self.server),
            ],
            figures={
                "occurrences": f"{len(facts.planned):,}",
                "moments skipped and told": f"{skipped:,}",
                "plans looked at after kills": f"{sum(len(one.plans) for one in facts.at_rest):,}",
                "retries": f"{sum(note.tries - 1 for note in told):,}",
            },
        )

    def _die_at(self, fault: Fault) -> None:
        server = self.server
        server.kill()
        self._lives.number += 1
        server.module = DOOMED
        passes = LOADED if fault.point == within_load.__name__ else PASSES
        doom = {"DOOM_POINT": fault.point, "DOOM_COUNT": str(self._dice.randint(*passes))}
        server.environment |= {**doom, "DOOM_PIPELINED": "yes" if fault.is_pipelined else ""}
        if fault.point == within_load.__name__:
            server.launch()
        else:
            server.start()
        assert server.wait(DOOM_LIMIT_S) == -signal.SIGKILL, f"the server did not die at {fault}: {server.lines[-3:]}"

    def _look(self, fault: str) -> None:
        """Notes how the plans of a server that is killed stand in the log."""
        self.server.kill()
        self._lives.number += 1
        self.notes.add(AtRest(fault, resting(read_log(self._folder))))


def drawn_faults(dice: Random, rounds: int) -> list[Fault]:
    """Each point of the turn once a round, and as many kills at random; half of all meet turns in flight."""
    faults: list[Fault] = []
    for _ in range(rounds):
        points = [*POINTS, *[RANDOM] * KILLS_A_ROUND]
        dice.shuffle(points)
        in_flight = cycle(dice.sample([True, False], 2))
        faults += [Fault(point, next(in_flight)) for point in points]
    return faults


def _run(folder: Path, length: Length, dice: Random) -> Report:
    faults = drawn_faults(dice, length.pick(SHORT_ROUNDS, LONG_ROUNDS))
    with Storm(folder, dice) as trial:
        for fault in faults:
            trial.strike(fault)
        trial.settle()
    return trial.report(len(faults))


CAMPAIGN = Campaign(
    "plans",
    "Killed at random and at each point of the turn, the server starts every occurrence of a plan once, in the commit "
    "in which the one before ends, or tells that it is skipped; no more fire than are wanted, and no repeated request "
    "acts twice.",
    _run,
    least_faults=10,
    least_requests=200,
)
