"""Clocks jump, the server is stopped in its tracks, the machine seems to reboot: deadlines hold.

Those by elapsed time do not move; those by the wall clock follow it, however it is set.
"""

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from random import Random

from msgspec import UNSET

from campaigns.campaign import Campaign, Length, Report
from campaigns.clients import PlainClient, Request
from campaigns.clocks import CLOCKED_SERVER, Clocks
from campaigns.facts import Facts
from campaigns.history import CONTINUED, RESTARTED, History
from campaigns.script import drawn_moment
from campaigns.trial import Trial
from campaigns.workload import Load
from drivers.server_process import ServerProcess

MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400

LEAP_S = 2 * DAY_S
"""Beyond the moments of all timers."""

STOPPED_S = (1.2, 2.5)
"""How long the process is stopped: longer than most of the short timers take."""

CROWD = 200
"""Timers of each round that nobody touches, by the wall clock and by elapsed time alike."""

CROWD_S = (MINUTE_S, DAY_S)
"""How long they take, the shorter ones more often."""

IN_A_ROW = 4
BETWEEN_S = (0.02, 0.3)
"""The pause between steps in a row: shorter than it takes until one is noticed."""

CROWD_BATCH = 100
SHORT_ROUNDS, LONG_ROUNDS = 1, 12
REPLIES_BETWEEN = 40
BEAT_S = 1.1
"""By then the server has looked at the wall clock."""

Fault = Callable[[], None]
Draw = Callable[["Faults", Random], list[Fault]]


class Faults:
    """What is done to the clocks of a server under trial, and to the server meanwhile."""

    def __init__(self, trial: Trial[ServerProcess], clocks: Clocks) -> None:
        self._trial = trial
        self._clocks = clocks

    def step(self, seconds: float) -> None:
        """Somebody sets the wall clock of a server at work."""
        self._clocks.step(seconds)
        _pass_a_beat()

    def leap(self) -> None:
        """Somebody sets it beyond all moments that timers wait for."""
        self._clocks.leap(LEAP_S)
        _pass_a_beat()

    def step_in_a_row(self, steps_s: list[float], between_s: float) -> None:
        """Somebody sets it back and forth, before the server can have noticed."""
        for seconds in steps_s:
            self._clocks.step(seconds)
            time.sleep(between_s)  # the moments of the fault are the point

    def step_while_down(self, steps_s: list[float]) -> None:
        """Somebody sets it while the server is down."""
        self._kill()
        for seconds in steps_s:
            self._clocks.step(seconds)
        self._start()

    def kill_after_step(self, seconds: float) -> None:
        """The server is killed before it can have noticed that it was set."""
        self._clocks.step(seconds)
        self._kill()
        self._start()

    def freeze(self, for_s: float, step_s: float) -> None:
        """The process stands still while its deadlines pass, and the wall clock is set."""
        self._trial.history.mark("stopped")
        self._trial.server.signal(signal.SIGSTOP)
        self._clocks.step(step_s)
        time.sleep(for_s)  # how long it stands still is the fault
        self._trial.server.signal(signal.SIGCONT)
        self._trial.history.mark(CONTINUED)

    def reboot(self) -> None:
        """The machine is off for a time. Elapsed time is then the wall clock's, so its steps are noticed before."""
        _pass_a_beat()
        self._trial.history.mark("told to stop")
        self._trial.server.terminate()
        self._clocks.reboot(HOUR_S)
        self._start()

    def _kill(self) -> None:
        self._trial.history.mark("killed")
        self._trial.server.kill()

    def _start(self) -> None:
        self._trial.server.start()
        self._trial.history.mark(RESTARTED)


def _pass_a_beat() -> None:
    time.sleep(BEAT_S)  # no reply tells when the server looks at the wall clock


def drawn_steps_s(dice: Random, count: int) -> list[float]:
    """Steps from a second to a day, in turns forward and back, or the other way round."""
    sign = dice.choice((1, -1))
    return [sign * (-1) ** number * DAY_S ** dice.random() for number in range(count)]


def faults_of_a_round(faults: Faults, dice: Random) -> list[Fault]:
    """Everything that is done in one round, in any order; at last the wall clock has reached all moments."""
    drawn: list[Fault] = [
        *(partial(faults.step, step_s) for step_s in drawn_steps_s(dice, 2)),
        partial(faults.step_in_a_row, drawn_steps_s(dice, IN_A_ROW), dice.uniform(*BETWEEN_S)),
        partial(faults.step_while_down, drawn_steps_s(dice, dice.randint(1, 3))),
        partial(faults.kill_after_step, *drawn_steps_s(dice, 1)),
        partial(faults.freeze, dice.uniform(*STOPPED_S), *drawn_steps_s(dice, 1)),
        faults.reboot,
    ]
    dice.shuffle(drawn)
    return [*drawn, faults.leap]


def begin_crowd(trial: Trial[ServerProcess], clocks: Clocks, number: int) -> None:
    """Starts timers that nobody touches from then on: as many by the wall clock as by elapsed time."""
    requests = list(_crowd(clocks, trial.dice, number))
    with closing(PlainClient("crowd", trial.history, trial.server.commands)) as client:
        for at in range(0, len(requests), CROWD_BATCH):
            client.ask(requests[at : at + CROWD_BATCH])


def _crowd(clocks: Clocks, dice: Random, number: int) -> Iterator[Request]:
    shortest_s, longest_s = CROWD_S
    for place in range(CROWD):
        bound_s, elapsed_s = (shortest_s * (longest_s / shortest_s) ** dice.random() for _ in range(2))
        asked = {
            "bound": drawn_moment(clocks.wall_s() + bound_s, dice),
            "elapsed": {"seconds": round(elapsed_s, 3)},
        }
        for kind, amount in asked.items():
            yield Request("timer.start", {"id": f"crowd/{number}/{kind}/{place}", **amount})


def play(
    folder: Path,
    dice: Random,
    rounds: int = 1,
    draw: Draw = faults_of_a_round,
    module: str = CLOCKED_SERVER,
    **environment: str,
) -> Report:
    """Does what is drawn for each round to a server, the real one or another that a module is."""
    history = History()
    clocks = Clocks(folder, history)
    done = 0
    with Trial(folder, dice, Load(wall_s=clocks.wall_s), clocks.server(module, **environment), history) as trial:
        faults = Faults(trial, clocks)
        for number in range(rounds):
            begin_crowd(trial, clocks, number)
            for fault in draw(faults, dice):
                trial.progress(REPLIES_BETWEEN)
                fault()
                done += 1
        trial.progress(REPLIES_BETWEEN)
        trial.settle()
    report = trial.report(done)
    report.figures |= _figures(Facts.of(history))
    return report


def _figures(facts: Facts) -> dict[str, str]:
    figures = {"steps of the wall clock": f"{len(facts.wall_sets) - 1:,}"}
    for name, is_moment in (("by the wall clock", True), ("by elapsed time", False)):
        timers = [facts.listed[timer_id] for timer_id in facts.acknowledged if timer_id in facts.listed]
        states = Counter(timer.state for timer in timers if (timer.at is not UNSET) == is_moment)
        pending = states["running"] + states["paused"]
        figures[name] = f"{states['fired']:,} fired + {pending:,} pending + {states['cancelled']:,} cancelled"
    hints = sum(event.cause == "clock" for event in facts.log)
    return {**figures, "moved by steps": f"{hints:,}"}


def _run(folder: Path, length: Length, dice: Random) -> Report:
    return play(folder, dice, length.pick(SHORT_ROUNDS, LONG_ROUNDS))


CAMPAIGN = Campaign(
    "clock",
    "The wall clock is set back and forth by a second to a day, while the server runs, stands still, is down and is "
    "killed; the machine reboots: timers by elapsed time do not move, those by the wall clock fire when it has reached "
    "their moments as it stands, never before, and each once.",
    _run,
    least_faults=8,
    least_requests=600,
)
