"""The common course of the campaigns on PostgreSQL: servers under trial, and what all such campaigns are judged by.

Beside all invariants that is what the tables hold in the end, and how late ends were heard.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from random import Random

from campaigns.campaign import Length, Report
from campaigns.facts import Facts
from campaigns.history import Answered
from campaigns.lateness_of_ends import latenesses_s
from campaigns.stored_log import StoredLog
from campaigns.trial import PROGRESS_LIMIT_S, Trial
from campaigns.workload import Load
from drivers.postgres import is_required, postgres_fault
from drivers.server_cluster import ServerCluster

LOAD = Load(plain=2, library=1, watchers=1, resumes_after=4_000)
"""A new client may first ask a server that stands still, for a second: a watcher that made one twice a second, which is
after 400 events here, would not keep up."""
SERVERS = 3
LEASE_S = 2.0
"""The default of a store."""

TAKEN_WITHIN_S = LEASE_S + 1
"""How late an end may be whose server is gone: it is missed once its lease is over, and another one reads the log."""

BESIDE_TESTS_S = 3.0
"""What is added to such limits in the short forms, where tests run on the same processors."""

SABOTAGED = "campaigns.sabotaged_commits"
LOOK_S = 0.5
"""How often the logs of servers are looked at while a reply is waited for."""

OVER = ("PostgreSQL has lost acknowledged events", "the server ends")
"""What no server may have to say."""

Run = Callable[[Path, Length, Random], Report]


def where_postgres_is(run: Run) -> Run:
    """A campaign that says so where no cluster can be had, which is a violation where one is required."""

    @wraps(run)
    def run_or_not(folder: Path, length: Length, dice: Random) -> Report:
        if (fault := postgres_fault()) is None:
            return run(folder, length, dice)
        not_run = f"not run ({fault})"
        return Report(not_run=not_run, violations=[not_run] if is_required() else [])

    return run_or_not


class ServersTrial(Trial[ServerCluster]):
    """A trial of servers, which ends once one of them says that something is lost, or that it cannot go on."""

    def progress(self, replies: int) -> None:
        self._wait(replies)
        self._look()

    def settle(self) -> None:
        self._look()
        super().settle()

    def keep_logs(self) -> None:
        """Keeps what the servers have logged beside the history."""
        for server in self.server.servers:
            (server.folder / "log.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in server.lines))

    def _wait(self, replies: int) -> None:
        total = len(self.history.all_of(Answered)) + replies
        until_s = time.monotonic() + PROGRESS_LIMIT_S
        while True:
            try:
                self.history.wait_for(Answered, total, LOOK_S)
            except TimeoutError:
                self._look()
                if time.monotonic() > until_s:
                    raise
            else:
                return

    def _look(self) -> None:
        for server in self.server.servers:
            for line in server.lines:
                assert not any(words in str(line) for words in OVER), f"a server says: {line}"


def servers_on(folder: Path, stores: Sequence[str], sabotage: str = "") -> ServerCluster:
    """A server for each store; with a fault planted in it, where `sabotage` names one."""
    if sabotage:
        return ServerCluster(folder, stores, {"SABOTAGE": sabotage}, SABOTAGED)
    return ServerCluster(folder, stores)


@contextmanager
def trial_of(servers: ServerCluster, folder: Path, dice: Random, load: Load = LOAD) -> Iterator[ServersTrial]:
    """A trial of servers. That they do not go on is a finding."""
    trial = ServersTrial(folder, dice, load, servers)
    has_begun = False
    try:
        with trial:
            has_begun = True
            yield trial
    except (AssertionError, TimeoutError) as error:
        if not has_begun:
            raise
        trial.history.failed("the campaign", f"the service does not go on: {error}")


def judged(trial: ServersTrial, faults: int, url: str, late_s: float, *, forgiven: bool) -> Report:
    """What came of a trial that has ended, and what the tables of the database say to it.

    No end may be heard later than `late_s`; where outages are `forgiven`, that is counted from the end of each, and
    again from that of the next where it began before.
    """
    report = trial.report(faults)
    trial.keep_logs()
    stored = StoredLog(url)
    facts = Facts.of(trial.history)
    if facts.closed is None:
        report.violations = [f"the_service_goes_on: {failure.what}" for failure in facts.failed]
    report.violations += stored.lost(facts)
    if facts.closed is None:
        return report
    report.violations += stored.differences(facts)
    late = latenesses_s(facts, facts.outages if forgiven else [], late_s)
    latest_s = max(late.values(), default=0.0)
    report.figures["latest end"] = f"{latest_s:.2f} s late" + (" once there was a server again" if forgiven else "")
    report.violations += [
        f"ends_are_prompt: timer {timer_id} was heard of {one_s:.2f} s late; expected {late_s:g} s at most"
        for timer_id, one_s in late.items()
        if one_s > late_s
    ]
    return report
