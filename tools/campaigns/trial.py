"""The common course of the campaigns: a server under load while faults are done to it, then a settled end, judged."""

from collections import Counter
from pathlib import Path
from random import Random
from typing import Generic, Protocol, TypeVar

from msgspec import convert

from campaigns.asker import Asker
from campaigns.campaign import Report
from campaigns.checker import check, count_lost
from campaigns.facts import Facts
from campaigns.history import Answered, History
from campaigns.workload import Load, Workload
from timer_protocol.messages import Event, EventPage, Timer

HISTORY = "history.jsonl"
PAGE = 1000
SOON_MS = 5_000
"""Timers due within this time are waited for in the end, so that nothing happens while it is written down."""

ROUNDS_AT_MOST = 10
CATCH_UP_LIMIT_S = 20
PROGRESS_LIMIT_S = 30


class Servers(Protocol):
    """What a trial needs to know of a server, or of several that are one service."""

    @property
    def commands(self) -> str:
        """Where requests are taken, with commas between several."""

    @property
    def events(self) -> str:
        """Where events are told, likewise."""

    def start(self) -> object:
        """Starts, and waits until requests are taken."""

    def kill(self) -> None:
        """Ends at once."""


S = TypeVar("S", bound=Servers)


class Trial(Generic[S]):
    """While entered, a server runs under load, or several that are one service. `history` gets everything that happens.

    The faults are for the one who enters it; `server` may be killed, stopped, and started again.
    """

    def __init__(self, folder: Path, dice: Random, load: Load, server: S, history: History | None = None) -> None:
        self.history = history or History()
        if load.own_prefix:
            self.history.among(load.own_prefix)
        self.server = server
        self.dice = dice
        self._folder = folder
        self._load = load
        self._workload: Workload | None = None

    def __enter__(self) -> "Trial[S]":
        self.server.start()
        self._workload = Workload(self._load, self.history, self.server.commands, self.server.events, self.dice)
        self._workload.start()
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self.server.kill()
        if error is not None:
            self.history.write(self._folder / HISTORY)
        if self._workload is not None:  # it could not be settled; nobody is to go on asking
            self._workload.abandon()
            self._workload.close()

    def progress(self, replies: int) -> None:
        """Waits until so many further requests are answered: the load runs."""
        self.history.wait_for(Answered, len(self.history.all_of(Answered)) + replies, PROGRESS_LIMIT_S)

    def settle(self) -> None:
        """Ends the load, waits until nothing is due any more, and writes down how everything stands."""
        assert self._workload is not None
        self._workload.stop()
        asker, prefix = Asker(self.server.commands), self._load.own_prefix
        _wait_for_those_due_soon(asker, prefix)
        log = whole_log(asker, prefix)
        for watcher in self._workload.watchers:
            watcher.reach({event.log: event.seq for event in log}, CATCH_UP_LIMIT_S)
        self._workload.close()
        self._workload = None
        timers = all_timers(asker, prefix=prefix)
        logs = asker.result("server.info")["logs"]
        self.history.close(log, timers, {log_id: standing["now_ms"] for log_id, standing in logs.items()})

    def hear_out(self) -> None:
        """Ends the load, and waits until the watchers have heard all events: for those whose log forgets meanwhile."""
        assert self._workload is not None
        self._workload.stop()
        logs = Asker(self.server.commands).result("server.info")["logs"]
        for watcher in self._workload.watchers:
            watcher.reach({log_id: standing["seq"] for log_id, standing in logs.items()}, CATCH_UP_LIMIT_S)
        self._workload.close()
        self._workload = None

    def report(self, faults: int) -> Report:
        """What came of it. The history is kept in the folder."""
        self.history.write(self._folder / HISTORY)
        facts = Facts.of(self.history)
        violations = check(self.history)
        return Report(
            faults=faults,
            requests=len(facts.tries),
            events=len(facts.log),
            lost=count_lost(violations),
            violations=list(map(str, violations)),
            figures=_figures(facts),
        )


def _figures(facts: Facts) -> dict[str, str]:
    states = Counter(facts.listed[timer_id].state for timer_id in facts.acknowledged if timer_id in facts.listed)
    pending = states["running"] + states["paused"]
    balance = f"{states['fired']:,} fired + {pending:,} pending + {states['cancelled']:,} cancelled"
    unanswered = sum(one.answered is None for one in facts.tries)
    again = sum(len(tries) - 1 for tries in facts.calls.values()) + len(facts.retried)
    calls_s = [tries[-1].answered.at_s - tries[0].asked.at_s for tries in facts.calls.values() if tries[-1].answered]
    outages_s = [until_s - from_s for from_s, until_s in facts.outages]
    figures = {
        "acknowledged starts": f"{len(facts.acknowledged):,} = {balance}",
        "requests cut off": f"{unanswered:,}",
        "retries": f"{again:,}",
        "longest call": f"{max(calls_s, default=0):.2f} s",
    }
    return {**figures, "longest outage": f"{max(outages_s):.2f} s"} if outages_s else figures


def _wait_for_those_due_soon(asker: Asker, prefix: str) -> None:
    """Waits for the last of them, again and again as others come near; one that never fires is for the checker."""
    for _ in range(ROUNDS_AT_MOST):
        due_soon = [
            timer for timer in all_timers(asker, prefix=prefix, state="running") if timer.remaining_ms < SOON_MS
        ]
        if not due_soon:
            return
        last = max(due_soon, key=lambda timer: timer.remaining_ms)
        asker.result("timer.wait", id=last.id, wait_ms=SOON_MS + 1_000)


def whole_log(asker: Asker, prefix: str) -> list[Event]:
    events: list[Event] = []
    after: dict[str, int] = {}
    while True:
        page = convert(asker.result("events.read", after=after, prefix=prefix, limit=PAGE), EventPage)
        events += page.events
        if not page.more:
            return events
        after = page.next


def all_timers(asker: Asker, **selection: str) -> list[Timer]:
    """All timers that a server lists."""
    timers: list[Timer] = []
    while True:
        page = asker.result("timer.list", limit=PAGE, **selection, **({"after": timers[-1].id} if timers else {}))
        timers += convert(page["timers"], list[Timer])
        if page["next"] is None:
            return timers
