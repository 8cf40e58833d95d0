"""Backups of a server under load, some to slow readers, some cut off: each that was made is the log at one commit."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import NamedTuple

from campaigns.backup_verdict import Made, judge
from campaigns.campaign import Campaign, Length, Report
from campaigns.facts import Facts
from campaigns.history import RESTARTED
from campaigns.old_timers import COUNT, OldTimers
from campaigns.trial import HISTORY, Trial
from campaigns.workload import Load
from drivers.server_process import SERVICES, ServerProcess, timer_server
from timer_server.backup import slices
from timer_server.store.base import StoreError
from timer_server.store.blocks import Row
from timer_server.store.sqlite.backup_file import check_backup, write_backup
from timer_server.wire.admin_link import AdminLink, LinkLost
from timer_server.wire.admin_messages import Backup, Begun, Kept
from timer_server.wire.admin_place import admin_path

RETENTION_S = 5
"""Short, so that retention removes entries while a copy is read."""

SHORT_ROUNDS, LONG_ROUNDS = 6, 60
SERVED_SHORT, SERVED_LONG = 1, 20
"""How many of the backups are made stores that a server serves."""

REPLIES_BETWEEN = 50
PAUSE_S = (0.0, 0.12)
"""How long a slow reader waits before it reads the next slice."""

CUT_AFTER_S = (0.1, 0.5)


class Rounds:
    """What is done in each round, and the backups that came of it. `wrong` is what was seen to be so meanwhile."""

    def __init__(self, trial: Trial[ServerProcess], folder: Path, dice: Random) -> None:
        self.made: list[Made] = []
        self.wrong: list[str] = []
        self._trial = trial
        self._folder = folder
        self._dice = dice
        self._store = folder / "timers.db"
        self._file = folder / "file.backup"
        """All have the same name at first, as if one replaced the other."""

    def all_kinds(self) -> list[Callable[[], None]]:
        """The kinds of rounds, in the order in which they take turns."""
        return [self.by_command, self.to_a_slow_reader, self.server_killed, self.reader_killed]

    def by_command(self) -> None:
        """The command makes a backup."""
        asked_s = time.monotonic()
        told = timer_server("backup", str(self._file), folder=self._folder, **self._trial.server.environment)
        if told.returncode:
            self.wrong.append(f"a_backup_is_made: the command exited with {told.returncode}: {told.stderr.strip()}")
        else:
            self._keep(asked_s)

    def to_a_slow_reader(self) -> None:
        """One who reads slowly makes a backup, while what it has yet to read is rewritten and deleted."""
        asked_s = time.monotonic()
        try:
            self._read_slowly()
        except (StoreError, LinkLost, OSError) as failure:
            self.wrong.append(f"a_backup_is_made: a slow reader got: {failure}")
        else:
            self._keep(asked_s)

    def server_killed(self) -> None:
        """The server dies while a copy is read, so no backup comes of it."""

        def kill_and_read_on() -> None:
            self._trial.history.mark("killed")
            self._trial.server.kill()

        try:
            self._read_slowly(after_first=kill_and_read_on)
        except (StoreError, LinkLost, OSError):
            pass
        else:
            self.wrong.append("no_backup_is_cut_short: one was made of a server that was killed meanwhile")
        self._look_that_none_is_there()
        self._trial.server.start()
        self._trial.history.mark(RESTARTED)

    def reader_killed(self) -> None:
        """The command dies at some moment: it has made all of a backup, or none."""
        asked_s = time.monotonic()
        command = [sys.executable, "-m", "timer_server", "backup", str(self._file)]
        variables = {"PYTHONPATH": str(SERVICES), **self._trial.server.environment}
        with subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            time.sleep(self._dice.uniform(*CUT_AFTER_S))  # the moment of the fault is the point
            process.kill()
        if self._file.exists():
            self._keep(asked_s)

    def _read_slowly(self, after_first: Callable[[], None] = lambda: None) -> None:
        with closing(AdminLink(admin_path(self._store))) as link:
            link.send(Backup())
            begun = link.receive()
            assert isinstance(begun, Begun), begun
            write_backup(self._file, begun.header, self._slowly(slices(link), after_first))
            link.send(Kept())

    def _slowly(self, taken: Iterator[list[Row]], after_first: Callable[[], None]) -> Iterator[list[Row]]:
        for number, rows in enumerate(taken):
            if number == 1:
                after_first()
            time.sleep(self._dice.uniform(*PAUSE_S))  # slowness is the fault
            yield rows

    def _keep(self, asked_s: float) -> None:
        """Puts the backup that was made aside, and looks whether it is whole."""
        made = Made(self._folder / f"{len(self.made)}.backup", asked_s, time.monotonic())
        self._file.rename(made.file)
        try:
            check_backup(made.file)
        except StoreError as damage:
            self.wrong.append(f"a_backup_with_its_name_is_whole: {damage}")
        else:
            self.made.append(made)

    def _look_that_none_is_there(self) -> None:
        if self._file.exists():
            self.wrong.append("no_backup_is_cut_short: there is a file under the name of one that was cut off")


class Course(NamedTuple):
    """How much of it there is: rounds, how many of the backups are served in the end, and the load meanwhile."""

    rounds: int
    served: int
    load: Load = Load()
    old_timers: int = COUNT
    retention_s: int = RETENTION_S
    replies_between: int = REPLIES_BETWEEN


def play(folder: Path, dice: Random, course: Course, module: str = "timer_server", sabotage: str = "") -> Report:
    """Runs all rounds, and judges what came of them. Another module may stand in for the server."""
    settings = {"TIMER_RETENTION_S": str(course.retention_s), "SABOTAGE": sabotage}
    with Trial(folder, dice, course.load, ServerProcess(folder, settings, module)) as trial:
        with closing(OldTimers(trial.history, trial.server.commands, dice, course.old_timers)) as old_timers:
            old_timers.begin()
            doing = Rounds(trial, folder, dice)
            kinds = doing.all_kinds()
            for number in range(course.rounds):
                trial.progress(course.replies_between)
                kinds[number % len(kinds)]()
        trial.hear_out()
    trial.history.write(folder / HISTORY)
    facts = Facts.of(trial.history)
    return Report(
        faults=course.rounds,
        requests=len(facts.tries),
        events=len(facts.heard),
        violations=doing.wrong + judge(facts, doing.made, folder, course.served),
        figures={"backups made": str(len(doing.made)), "acknowledged starts": f"{len(facts.acknowledged):,}"},
    )


def _run(folder: Path, length: Length, dice: Random) -> Report:
    return play(folder, dice, Course(length.pick(SHORT_ROUNDS, LONG_ROUNDS), length.pick(SERVED_SHORT, SERVED_LONG)))


CAMPAIGN = Campaign(
    "backups",
    "A backup of a server under load is the log as it was at one commit: all that was acknowledged before it was asked "
    "for, and nothing else. One that is cut off, by the death of the server or of the reader, is none. A server goes "
    "on with the store that is made of one, and tells readers who had seen more.",
    _run,
    least_faults=SHORT_ROUNDS,
    least_requests=200,
)
