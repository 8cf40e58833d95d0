"""The part without containers: a real server, and clients behind proxies that disturb both of its sockets."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from campaigns.campaign import Length, Report
from campaigns.network_audit import audit
from campaigns.network_collect import AsyncLoad, AsyncWatch, Lines, Load, Source, Watch, printing
from campaigns.network_company import RECOVERY_LIMIT_S, Company
from campaigns.network_countdown import Countdown
from campaigns.network_load import stories
from campaigns.proxy import Proxy
from campaigns.proxy_faults import CUT, CUT_IN_A_MESSAGE, DELAY, HALF_OPEN, LOST_REPLY, SILENCE, ProxyFault
from drivers.program import Program
from drivers.server_process import SERVICES, ServerProcess
from timer_client import Event, Settings, TimerClient

COUNTDOWN = "countdown"
QUICK = (CUT, CUT, CUT_IN_A_MESSAGE, CUT_IN_A_MESSAGE, LOST_REPLY, LOST_REPLY)
SLOW = (DELAY, HALF_OPEN, SILENCE)
ROUNDS = 10
"""Of the long form; each has every fault."""


@dataclass(frozen=True)
class Setup:
    """What may be replaced to see whether the campaign notices."""

    watch: Callable[[Settings], Source[Event]] = Watch
    retry_deadline_s: float = 60
    recovery_limit_s: float = RECOVERY_LIMIT_S
    faults: Sequence[ProxyFault] | None = None
    countdown_s: int | None = None


def run_loopback(folder: Path, length: Length, dice: Random, setup: Setup = Setup()) -> Report:
    """Random faults while loads run through both clients, and four watchers and a countdown look on."""
    with ServerProcess(folder) as server, Proxy(server.commands) as commands, Proxy(server.events) as events:
        settings = Settings(
            server=commands.endpoint,
            events=events.endpoint,
            timeout_s=1,
            retry_deadline_s=setup.retry_deadline_s,
            retry_min_s=0.05,
            retry_max_s=0.5,
        )
        env = _environment(settings)
        with (
            TimerClient(server.commands, server.events) as direct,
            printing(_timer("events", "--json", "--after", "start"), env, folder) as following,
            _countdown(direct, setup.countdown_s or length.pick(6, 60), env, folder) as countdown,
        ):
            company = _company(settings, setup, dice)
            company.add_watcher("timer events", Lines(following, Event))
            company.wait_until_ready()
            for fault in _program(length, dice) if setup.faults is None else setup.faults:
                _disturb(company, fault, _some(fault, commands, events, dice), dice)
            report = company.finish(lambda: audit(direct), {COUNTDOWN})
            report.violations += countdown.violations()
            return report


def _company(settings: Settings, setup: Setup, dice: Random) -> Company:
    company = Company(setup.recovery_limit_s)
    company.add_watcher("the blocking client", setup.watch(settings))
    company.add_watcher("the asynchronous client", AsyncWatch(settings))
    company.add_watcher("the asynchronous client with a prefix", AsyncWatch(settings, "blocking/1"), "blocking/1")
    for prefix, load in (("blocking/", Load), ("async/", AsyncLoad)):
        seed = dice.getrandbits(32)
        company.add_load(prefix, seed, load(settings, stories(prefix, seed)))
    return company


def _program(length: Length, dice: Random) -> Iterator[ProxyFault]:
    """The faults in the order in which they come."""
    for _ in range(length.pick(1, ROUNDS)):
        faults = [*QUICK, *SLOW]
        dice.shuffle(faults)
        yield from faults


def _some(fault: ProxyFault, commands: Proxy, events: Proxy, dice: Random) -> Sequence[Proxy]:
    """Whose connections it is about; those of requests, of events or of both."""
    if fault is LOST_REPLY:
        return [commands]
    return [commands, events] if fault in SLOW else dice.choice(([commands], [events], [commands, events]))


def _disturb(company: Company, fault: ProxyFault, proxies: Sequence[Proxy], dice: Random) -> None:
    begun_s = time.monotonic()
    with fault.harm(proxies, dice):
        if fault.bearable:
            company.recover(fault.kind, begun_s)
    if fault.bearable:
        company.wait_until_well(f"the end of {fault.kind}", time.monotonic())
    else:
        company.recover(fault.kind, time.monotonic())


def _timer(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "timer_client", *arguments]


def _environment(settings: Settings) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TIMER_")}
    return inherited | {
        "PYTHONPATH": str(SERVICES),
        "TIMER_SERVER": settings.server,
        "TIMER_EVENTS": settings.events,
        "TIMER_TIMEOUT_S": str(settings.timeout_s),
    }


@contextmanager
def _countdown(direct: TimerClient, seconds: int, env: dict[str, str], folder: Path) -> Iterator[Countdown]:
    direct.start(seconds=seconds, id=COUNTDOWN)
    program = Program(_timer("watch", COUNTDOWN, "--json"), env, folder)
    try:
        yield Countdown(program)
    finally:
        program.close()
