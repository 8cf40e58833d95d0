"""Stores that were made when their schema was the latest: every later server opens them and finds what was in them.

`data/schema-N.db`, its mark and its content, a line of JSON for the header and one for each event, are made once for
each version by the code as it is then:
`PYTHONPATH=services:tools:tests .venv/bin/python -m store.test_schema`
"""

import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw
from msgspec.structs import asdict

from drivers.builders import BEGIN_NS, NS_PER_S, entries_in
from store.stores import changes, event, sqlite_store
from timer_protocol.durations import NS_PER_MS
from timer_protocol.limits import Limits
from timer_protocol.messages import CancelParams, ExtendParams, PauseParams, RestartParams, ResumeParams, StartParams
from timer_server.core.effects import WallClock
from timer_server.core.engine import Engine, TimerParams
from timer_server.core.model import KINDS, Countdown
from timer_server.store.base import Anchor, Header
from timer_server.store.log import Log
from timer_server.store.sqlite.schema import VERSION
from timer_server.store.sqlite.store import SqliteStore

DATA = Path(__file__).with_name("data")
DAY_NS = 86_400 * NS_PER_S
FIRST, SECOND = "first-log-1", "second-log1"


def content_of(header: Header, log: Log, store: SqliteStore) -> list[dict[str, Any]]:
    """What is in a store: its header, with what an engine makes of the log, and its events."""
    engine = Engine(Limits(), str)
    engine.restore(store.load(), header.ends, log.holder)
    head = {
        "log_id": header.log_id,
        "ends": asdict(header.ends),
        "last_at_ms": header.last_at_ms,
        "anchor": None if header.anchor is None else header.anchor._asdict(),
        "ancestors": dict(header.ancestors),
        "counts": asdict(engine.counts()),
        "next_due_ns": engine.next_due_ns(),
    }
    events = [log.event(entry.place) for entry in entries_in(store)]
    return [head, *map(written_out, events)]


def written_out(event: Countdown) -> dict[str, Any]:
    """An event as JSON can hold it."""
    revision = None if event.revision is None else {**asdict(event.revision), "keys": event.keys.hex()}
    if event.revision is not None and event.revision.wall is not None:
        revision = {**asdict(event.revision), "keys": event.keys.hex(), "wall": asdict(event.revision.wall)}
    return {**asdict(event), "revision": revision, "payload": event.payload.decode()}


def known_then(found: dict[str, Any], then: dict[str, Any]) -> dict[str, Any]:
    """What is found, without members that have come since then."""
    return {
        name: known_then(found[name], value) if isinstance(value, dict) else found[name] for name, value in then.items()
    }


@pytest.fixture(params=sorted(DATA.glob("schema-*.db")), ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of each of the stores."""
    for file in DATA.glob(f"{request.param.stem}.*"):
        shutil.copy(file, tmp_path)
    return tmp_path / str(request.param.name)


def test_one_of_each_schema_is_opened_and_goes_on(path: Path) -> None:
    """What was added to entries and to the anchor since then is not compared."""
    expected = [json.loads(line) for line in path.with_suffix(".jsonl").read_text().splitlines()]
    store = sqlite_store(path)
    with closing(store):
        header = store.open()
        found = content_of(header, Log(store, header), store)
        assert [known_then(one, then) for one, then in zip(found, expected, strict=True)] == expected
        assert header.notices == ()

        store.commit(changes(event(header.ends.last_place + 1), horizon=header.ends.horizon))
    with closing(store):
        assert store.open().ends.last_seq == header.ends.last_seq + 1
        assert sum(1 for _ in entries_in(store)) == len(expected)


def test_there_is_one_of_the_latest() -> None:
    assert (DATA / f"schema-{VERSION}.db").exists()


class Maker:
    """Makes a store by the code as it is: events of all kinds, large specs, keys; the log was pruned and restored, and
    goes on behind what its header tells."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = SqliteStore(path, lambda: FIRST)
        self.log = Log(self.store, self.store.open())
        self.ahead_ns = 0
        self.engine = Engine(Limits(), str, WallClock(lambda: self.ahead_ns, lambda *_: BEGIN_NS // NS_PER_MS + 10**10))
        self.now_ns = BEGIN_NS

    def ask(self, *requests: TimerParams) -> None:
        for params in requests:
            self.now_ns += 1_000_001
            assert isinstance(self.engine.handle(params, self.now_ns), Countdown)

    def commit(self, anchor: Anchor | None = None) -> None:
        self.log.take_off(self.engine.take_changes())
        self.store.commit(self.log.land(), anchor)

    def make(self) -> list[dict[str, Any]]:
        self._long_ago()
        self.now_ns += 2 * DAY_NS
        self.engine.forget(self.log.oldest(0, 100), self.now_ns)
        self.commit()
        self._lately()
        self.store.close()
        self._restore()
        self.ask(CancelParams("restored"))
        self.commit()
        self.store.close()
        header = self.store.open()
        with closing(self.store):
            assert not header.notices
            return content_of(header, Log(self.store, header), self.store)

    def _long_ago(self) -> None:
        """Of these timers retention leaves what is pending, and the specs that are still referred to."""
        large, label = Raw(b'{"job": "%s"}' % (b"x" * 300)), "Küche \U0001f570"
        self.ask(
            StartParams("old/running", hours=9_000),
            StartParams("old/paused", minutes=90.5, label=label, payload=Raw(b'{"a": [1, 2.5, null]}')),
            StartParams("old/large", hours=8_000, payload=large),
            StartParams("old/large-label", hours=8_000, label=256 * "\U0001f570"),
            StartParams("old/gone", hours=1),
            StartParams("old/gone-large", hours=1, payload=large),
        )
        self.commit(Anchor("3c0a3e4c-5b0f-4d3f-9d52-6f0d7a7c1f11", 5 * 10**9, BEGIN_NS, BEGIN_NS))
        self.ask(
            PauseParams("old/paused", "a key"),
            ExtendParams("old/large", hours=1, key="k" * 128),
            PauseParams("old/large-label"),
            CancelParams("old/gone"),
            CancelParams("old/gone-large"),
        )
        self.commit()

    def _lately(self) -> None:
        large = Raw(b'"%s"' % (b"y" * 5_000))
        self.ask(
            *(StartParams(f"new/{number}", hours=number + 1, seconds=0.25) for number in range(7)),
            StartParams("new/large", hours=2, payload=large),
            StartParams("new/large-ended", minutes=2, payload=large),
            StartParams("new/short", seconds=0.001),
            StartParams("restored", hours=1),
            StartParams("new/bound", at="2056-01-01T00:00", zone="Europe/Rome"),
        )
        self.commit()
        self.ask(
            PauseParams("new/0"),
            ResumeParams("new/0", "resumed"),
            PauseParams("new/1"),
            CancelParams("new/2", "cancelled"),
            ExtendParams("new/3", minutes=-5),
            RestartParams("new/2"),
            RestartParams("new/4"),
            CancelParams("new/5"),
            PauseParams("new/large", "large"),
            CancelParams("new/large-ended"),
            *(ExtendParams("new/6", seconds=1, key=f"key {number}") for number in range(3)),
        )
        assert self.engine.expire(self.now_ns, 10) == 1
        self.ahead_ns = 3600 * NS_PER_S  # the wall clock was set
        self.engine.follow_wall()
        assert not self.engine.move_bound(self.now_ns, 10)
        self.commit()

    def _restore(self) -> None:
        copied = SqliteStore(self.path, lambda: SECOND)
        with closing(copied):
            copied.restored()
        header = self.store.open()
        self.log, self.engine = Log(self.store, header), Engine(Limits(), str)
        self.engine.restore(self.store.load(), header.ends, self.log.holder)


if __name__ == "__main__":
    made = DATA / f"schema-{VERSION}.db"
    DATA.mkdir(exist_ok=True)
    assert not made.exists(), "what was made once is to be opened by all later servers"
    content = Maker(made).make()
    with closing(sqlite3.connect(made)) as database:
        (pages,), (page_bytes,) = (
            database.execute("PRAGMA page_count").fetchone(),
            database.execute("PRAGMA page_size").fetchone(),
        )
    os.truncate(made, pages * page_bytes)  # without the room that a store keeps
    assert {event["kind_number"] for event in content[1:]} == set(range(len(KINDS)))
    made.with_suffix(".jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in content))
