"""The disk fails at one operation of a server's run: what it told before is there after a restart, and nothing else."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec

from campaigns.disk_script import FORGOTTEN, Batch, Timer, Told, all_timers, script
from campaigns.faulty_disk import KINDS, VARIABLE
from drivers.builders import NS_PER_S
from drivers.server_process import ServerEnded, ServerProcess
from timer_protocol.limits import Limits
from timer_protocol.messages import CancelParams, ExtendParams, StartParams
from timer_server.core.engine import Engine
from timer_server.random_ids import new_log_id
from timer_server.store.sqlite.store import SqliteStore

STORE = "timers.db"


class FaultyServer(ServerProcess):
    """A server on a disk that fails."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        super().__init__(folder, environment, module="campaigns.faulty_disk")


class Scenario(NamedTuple):
    """A store to begin with, what is in it, and the requests that are then made."""

    name: str
    make: Callable[[Path], dict[str, Timer]]
    script: Callable[[], Iterator[Batch]]


class Strike(NamedTuple):
    """What came of one fault: whether it struck at all, how many changes were acknowledged, and what was wrong."""

    has_struck: bool
    acknowledged: int
    lost: list[str]
    wrong: list[str]


def _old_store(folder: Path) -> dict[str, Timer]:
    """Two days ago many timers came and went, which are to be forgotten, and one is still pending.

    Of that, retention leaves the last event, and the first, which holds its large payload.
    """
    store = SqliteStore(folder / STORE, new_log_id)
    store.open()
    engine = Engine(Limits(), str)
    then_ns = time.time_ns() - 2 * 86_400 * NS_PER_S
    payload = msgspec.Raw(b'"%s"' % (b"x" * 300))
    engine.handle(StartParams("old/pending", hours=9_000, label="old", payload=payload), then_ns)
    pending = engine.handle(ExtendParams("old/pending", hours=1), then_ns)
    for number in range(100):
        engine.handle(StartParams(f"{FORGOTTEN}{number}", hours=1, label="x" * 100), then_ns)
        engine.handle(CancelParams(f"{FORGOTTEN}{number}"), then_ns)
        store.commit(engine.take_changes())
    store.close()
    return {"old/pending": _as_told(pending)}


RUN = Scenario("run", _old_store, script)
SCENARIOS = (RUN, Scenario("new store", lambda _: {}, lambda: islice(script(), 3)))


def strike(folder: Path, scenario: Scenario, kind: str, at: int, planted: bool = False) -> Strike:
    """Runs a scenario on a disk that fails at an operation, then restarts the server on a sound one."""
    told = Told(scenario.make(folder))
    plan = json.dumps({"kind": kind, "at": at, "planted": planted})
    server = FaultyServer(folder, {VARIABLE: plan})
    wrong: list[str] = []
    try:
        wrong += _run_into_the_fault(server, told, scenario)
        has_struck = any(line["event"] == "fault injected" for line in server.lines)
        if not has_struck and server.wait() != 0:
            raise RuntimeError(f"the server ended without a fault: {server.lines}")
        wrong += _wrong_about_the_end(server, kind) if has_struck else []
    except (subprocess.TimeoutExpired, TimeoutError) as error:
        has_struck, wrong = True, [*wrong, str(error)]
    finally:
        server.kill()
    try:
        with ServerProcess(folder) as restarted:
            found = all_timers(restarted.commands)
    except ServerEnded as refusal:
        return Strike(has_struck, told.changes, [], [*wrong, str(refusal)])
    return Strike(has_struck, told.changes, told.lost(found), [*wrong, *told.unasked(found)])


def _run_into_the_fault(server: ServerProcess, told: Told, scenario: Scenario) -> list[str]:
    """Plays the script until the server ends, or to its end, and then stops the server."""
    try:
        server.start()
    except ServerEnded:
        server.wait()
        return []
    wrong = told.play(server.commands, scenario.script(), lambda: server.has_ended)
    if told.in_doubt:
        server.wait()
    else:
        server.terminate()
    return wrong


def _wrong_about_the_end(server: ServerProcess, kind: str) -> list[str]:
    """Killed, the server says nothing; failed, it says so in one line and ends with 1, unless it can go on."""
    exit_code = server.wait()
    if KINDS[kind].kills:
        return [] if exit_code == -signal.SIGKILL else [f"exit code {exit_code} after being killed"]
    wrong = [f"a traceback: {server.lines}"] if any("Traceback" in line["event"] for line in server.lines) else []
    last_words = [line["event"] for line in server.lines if line["event"].startswith("timer-server: ")]
    if exit_code == 1 and len(last_words) != 1:
        wrong.append(f"it ended with these last words: {last_words}")
    # The signal to stop may meet a server that is ending by itself, and has said why.
    is_cut_short = exit_code == -signal.SIGTERM and any(line.get("level") == "error" for line in server.lines)
    if exit_code not in {0, 1} and not is_cut_short:
        wrong.append(f"exit code {exit_code}: {server.lines}")
    return wrong


def _as_told(timer: object) -> Timer:
    """A timer as a reply would have had it."""
    told: Timer = json.loads(msgspec.json.encode(timer.view(0)))  # type: ignore[attr-defined]
    return told
