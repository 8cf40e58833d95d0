"""The engine, its log and both stores in games of any length, against a service told in the plainest way.

Every request must get the same outcome, every page must hold the same, and each store must hold the entries that are
needed and no others: while commits are under way, and after crashes too. Queues hold ends, and log entries of their
own; after a crash they are what they were.
"""

import tempfile
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from core.audit import Audit
from core.engine_moves import (
    BACK,
    CHANGES,
    LARGE,
    LIMITS,
    NS_PER_MS,
    NS_PER_S,
    amounts,
    changes_of_time,
    ids,
    keys,
    payloads,
    prefixes,
    queues,
    shares,
    steps_ns,
)
from core.fake_readers import FakeReaders
from core.naive import Naive, Outcome, ceil_ms, events_of
from core.parts import restore_in_parts
from core.plain_views import entry_view, event_view, timer_view
from drivers.builders import LOG_ID, entries_in
from timer_protocol.errors import Refusal
from timer_protocol.messages import ExtendParams, GetParams, ListParams, StartParams
from timer_server.core.engine import Engine, TimerParams
from timer_server.core.ledger import LogEnds
from timer_server.core.listing import Line, Listing, list_page
from timer_server.core.model import Countdown, Recall
from timer_server.store.base import Header, Store
from timer_server.store.log import Log
from timer_server.store.memory import MemoryStore
from timer_server.store.sqlite.store import SqliteStore

QUICK_DISK = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - where a commit waits for no disk


class EngineMachine(RuleBasedStateMachine):
    """`moments_ns` says when each event happened; `made` counts the ids that the engine has asked for.

    `forgotten` are the ids that have gone since the last commit, and before each that is under way.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(dir=QUICK_DISK)
        self.sqlite = SqliteStore(Path(self.folder.name) / "timers.db", lambda: LOG_ID)
        self.stores: tuple[Store, ...] = (MemoryStore(LOG_ID), self.sqlite)
        self.logs = [Log(store, header) for store, header in zip(self.stores, self.open(), strict=True)]
        self.naive = Naive(LIMITS.max_timers, LIMITS.max_duration_s, LIMITS.max_payload_bytes, LIMITS.retention_s)
        self.audit = Audit()
        self.made = 0
        self.moments_ns = [0]
        self.forgotten: list[set[str]] = [set()]
        self.readers = FakeReaders()
        self.readers.restored()
        self.engine = self.new_engine()
        self.now_ns = 0

    def teardown(self) -> None:
        self.sqlite.close()
        self.folder.cleanup()

    @initialize(fraction_ns=st.sampled_from([0, 1, 499_999, 999_999]))
    def begin(self, fraction_ns: int) -> None:
        self.now_ns = 1_700_000_000_000 * NS_PER_MS + fraction_ns

    # Requests

    @rule(id=ids | st.none(), label=st.sampled_from(["", "tea"]), payload=payloads, **amounts)
    def start(self, **asked: Any) -> None:
        params = StartParams(**{**asked, "payload": msgspec.Raw(asked["payload"].encode())})
        timer_id = f"made/{self.made}" if asked["id"] is None else asked["id"]
        self.compare(params, {"do": "start", **asked, "id": timer_id})

    @rule(id=ids)
    def get(self, id: str) -> None:
        self.compare(GetParams(id), {"do": "get", "id": id})

    @rule(id=ids, do=st.sampled_from(list(CHANGES)), key=keys)
    def change(self, id: str, do: str, key: str | None) -> None:
        self.compare(CHANGES[do](id, key), {"do": do, "id": id, "key": key})

    @rule(id=ids, do=st.sampled_from(list(BACK)), late=st.booleans())
    def there_and_back(self, id: str, do: str, late: bool) -> None:
        """A change and the one that undoes it; then a copy of the first that was held up on its way."""
        self.change(id, do, "there")
        self.change(id, BACK[do], None)
        if late:
            self.change(id, do, "there")

    @rule(id=ids, key=keys, **changes_of_time)
    def extend(self, **asked: Any) -> None:
        self.compare(ExtendParams(**asked), {"do": "extend", **asked})

    @rule(id=ids, seconds=st.sampled_from([1, -0.001]))
    def repeat(self, id: str, seconds: float) -> None:
        """A request with a key, sent twice, has one effect."""
        request = {"do": "extend", "id": id, "hours": 0, "minutes": 0, "seconds": seconds, "key": "again"}
        params = ExtendParams(id, seconds=seconds, key="again")
        first = self.compare(params, request)
        seq = self.engine.last_seq

        again = self.compare(params, request)

        assert again == first
        assert self.engine.last_seq == seq

    @rule(maxima=shares)
    def share_out(self, maxima: dict[str, int]) -> None:
        """Prefixes get other shares, less than is held below them among those."""
        self.engine.places.share_out(maxima)
        self.naive.shares = maxima

    # Time

    @rule(step_ns=steps_ns)
    def wait(self, step_ns: int) -> None:
        self.now_ns += step_ns

    @rule(ns=st.sampled_from([-1, 0]))
    def wait_for_the_next_deadline(self, ns: int) -> None:
        next_due_ns = self.engine.next_due_ns()
        if next_due_ns is not None:
            self.now_ns = max(self.now_ns, next_due_ns + ns)

    @rule(most=st.sampled_from([1, 2, 500]))
    def expire(self, most: int) -> None:
        fired = self.engine.expire(self.now_ns, most)
        self.note_moments()

        assert fired == self.naive.expire(self.now_ns, most)

    # The log

    @rule()
    def submit(self) -> None:
        """A commit is under way: what is in it can be read, and retention does not look at it yet."""
        changes = self.engine.take_changes()
        for log in self.logs:
            log.take_off(changes)
        self.naive.submit()
        self.forgotten.append(set())

    @rule()
    def land(self) -> None:
        """The oldest commit that is under way is done."""
        if self.naive.in_flight:
            for store, log in zip(self.stores, self.logs, strict=True):
                changes = log.land()
                store.commit(changes)
            assert changes.events == [entry for entry in changes.entries if isinstance(entry, Countdown)]
            self.audit.forget(self.forgotten.pop(0))
            for event in changes.events:
                self.audit.take(event, self.moments_ns[event.seq])
            self.naive.land()

    @rule()
    def commit(self) -> None:
        self.submit()
        while self.naive.in_flight:
            self.land()

    @rule(most=st.sampled_from([1, 2, 256]))
    def forget_all(self, most: int) -> None:
        """Retention, in steps of any size, until the engine says that there is nothing to forget."""
        self.commit()
        while (forget_ns := self.engine.next_forget_ns(self.logs[0].durable_place)) is not None:
            if forget_ns > self.now_ns:
                break
            self.forget(most)
            self.commit()

    @rule(id=ids, do=st.sampled_from(list(CHANGES)))
    def change_what_retention_has_passed(self, id: str, do: str) -> None:
        """A timer whose last event is the only one that is left of it, but for the one with its spec."""
        self.change(id, "pause", None)
        self.wait(LIMITS.retention_s * NS_PER_S)
        self.forget_all(256)
        self.change(id, do, None)
        self.commit()

    @rule(most=st.sampled_from([1, 2, 256]))
    def forget(self, most: int) -> None:
        """A single step of retention, with other commits under way or not."""
        forget_ns = self.engine.next_forget_ns(self.logs[0].durable_place)
        if forget_ns is not None and forget_ns <= self.now_ns:
            oldest, same = [log.oldest(self.engine.horizon, most) for log in self.logs]
            assert oldest == same
            self.engine.forget(oldest, self.now_ns)
            self.naive.log_drafts()
        self.forgotten[-1] |= self.naive.forget(self.now_ns, most)

        assert self.engine.horizon == self.naive.horizon
        assert self.engine.horizon_seq == self.naive_seq_at(self.naive.horizon)

    @rule(from_sqlite=st.booleans(), is_committed=st.booleans(), part=st.sampled_from([1, 3, 1_000]))
    def crash(self, from_sqlite: bool, is_committed: bool, part: int) -> None:
        """What was not committed is lost, and nothing else. The log is restored in parts."""
        if is_committed:
            self.commit()
        self.sqlite.close()
        headers = self.open()
        self.logs = [Log(store, header) for store, header in zip(self.stores, headers, strict=True)]
        self.naive.crash()
        self.forgotten = [set()]
        last_place, last_at_ms = len(self.naive.log), max((entry["at_ms"] for entry in self.naive.log), default=0)
        horizon = self.naive.horizon
        ends = LogEnds(horizon, self.naive_seq_at(horizon), last_place, self.naive_seq_at(last_place))
        assert [(header.ends, header.last_at_ms) for header in headers] == 2 * [(ends, last_at_ms)]
        self.readers = FakeReaders()
        self.engine = self.new_engine()
        restore_in_parts(self.engine, self.stores[from_sqlite].load(), ends, self.logs[from_sqlite].holder, part)
        self.engine.places.share_out(self.naive.shares)
        assert self.readers.queues == self.naive.queues
        self.engine.start_server(self.now_ns)
        self.naive.start_server(self.now_ns)

    # Queues

    @rule(queue=queues)
    def put(self, queue: str) -> None:
        if queue not in self.readers.queues:
            self.readers.put(queue, ceil_ms(self.now_ns))
            self.naive.put(queue, self.now_ns)

    @rule(queue=queues)
    def delete(self, queue: str) -> None:
        if queue in self.readers.queues:
            self.readers.delete(queue, ceil_ms(self.now_ns))
            self.naive.delete(queue, self.now_ns)

    @rule(queue=queues, which=st.sampled_from([slice(None), slice(1), slice(1, None), slice(-1, None)]))
    def let_go(self, queue: str, which: slice) -> None:
        if places := sorted(self.readers.queues.get(queue, ()))[which]:
            self.readers.let_go(queue, places, ceil_ms(self.now_ns))
            self.naive.let_go(queue, places, self.now_ns)

    @rule(queue=queues, in_parts=st.booleans())
    def snapshot(self, queue: str, in_parts: bool) -> None:
        """A whole one, or the next of two parts, between which anything may happen."""
        if queue not in self.readers.queues:
            return
        held, at_ms = sorted(self.readers.queues[queue]), ceil_ms(self.now_ns)
        if not in_parts:
            self.naive.snapshot(queue, "whole", held, self.now_ns)
            self.readers.snapshot(queue, at_ms)
        elif queue in self.readers.snapshots:
            self.naive.snapshot(queue, "last", self.readers.snapshots[queue], self.now_ns)
            self.readers.end_snapshot(queue, at_ms)
        else:
            self.naive.snapshot(queue, "first", held[: len(held) // 2], self.now_ns)
            self.readers.begin_snapshot(queue, at_ms)

    @rule(behind_the_horizon=st.none() | st.integers(0, 3))
    def let_retention_wait(self, behind_the_horizon: int | None) -> None:
        self.naive.waits_at = None if behind_the_horizon is None else self.naive.horizon + behind_the_horizon
        self.readers.waits_at = self.naive.waits_at

    @rule(id=ids, payload=st.sampled_from(["null", LARGE]), crashes=st.booleans())
    def hold_what_retention_passes(self, id: str, payload: str, crashes: bool) -> None:
        """A timer whose end is held, while the timer itself is forgotten or runs again."""
        self.put("q")
        self.start(id=id, hours=0, minutes=1, seconds=0, label="", payload=payload)
        self.change(id, "cancel", None)
        self.commit()
        self.wait(LIMITS.retention_s * NS_PER_S)
        self.let_retention_wait(None)
        self.forget_all(256)
        if crashes:
            self.crash(from_sqlite=True, is_committed=False, part=3)

    # What can be read

    @rule(
        prefix=prefixes,
        state=st.sampled_from([None, "running", "paused", "fired", "cancelled"]),
        limit=st.integers(1, 4),
    )
    def walk_pages(self, prefix: str, state: Any, limit: int) -> None:
        after = None
        found: list[dict[str, Any]] = []
        while True:
            listing = self.list_page(ListParams(prefix, state, after, limit))
            found += [self.view(entry) for entry in listing.entries]
            assert len(listing.entries) <= limit
            if listing.next is None:
                break
            assert listing.next > (after or "")
            after = listing.next
        assert found == self.naive.listed(prefix, state, None, self.now_ns)

    @rule(prefix=prefixes, limit=st.integers(1, 4), within_ms=st.none() | st.sampled_from([0, 1000, 20_001, 10**9]))
    def list_by_deadline(self, prefix: str, limit: int, within_ms: int | None) -> None:
        before_ms = None if within_ms is None else self.now_ns // NS_PER_MS + within_ms
        due = sorted(
            (timer["due_at_ms"], seq, timer)
            for timer in self.naive.listed(prefix, "running", None, self.now_ns)
            for seq in [max(event["seq"] for event in events_of(self.naive.log) if event["id"] == timer["id"])]
            if before_ms is None or timer["due_at_ms"] < before_ms
        )
        expected = [timer for *_, timer in due]

        listing = self.list_page(ListParams(prefix, limit=limit, due_before_ms=before_ms, order="due"))
        assert [self.view(entry) for entry in listing.entries] == expected[:limit]
        assert listing.is_complete == (len(expected) <= limit)
        everything = self.list_page(ListParams(prefix, limit=1000, due_before_ms=before_ms))
        assert [self.view(entry) for entry in everything.entries] == (
            sorted(expected, key=lambda timer: timer["id"])
            if before_ms is not None
            else self.naive.listed(prefix, None, None, self.now_ns)
        )

    @rule(after=st.text("aBb/12~", max_size=4), prefix=prefixes)
    def look_after(self, after: str, prefix: str) -> None:
        listing = self.list_page(ListParams(prefix, None, after, 1000))
        assert [self.view(entry) for entry in listing.entries] == self.naive.listed(prefix, None, after, self.now_ns)

    @rule(after=st.integers(0, 40), prefix=prefixes, limit=st.integers(1, 4), scan=st.sampled_from([1, 3, 100]))
    def walk_windows(self, after: int, prefix: str, limit: int, scan: int) -> None:
        stored = events_of(self.naive.stored())
        expected = [e for e in stored if e["seq"] > after and e["id"].startswith(prefix)]
        for log in self.logs:
            found: list[Countdown] = []
            at, is_end = after, False
            while not is_end:
                page = log.page(at, prefix, limit, scan)
                assert page.is_end or at < page.scanned_to
                assert len(page.events) <= limit
                found += page.events
                at, is_end = page.scanned_to, page.is_end
            assert [event_view(event) for event in found] == expected

    @invariant()
    def everything_that_can_be_counted_is_the_same(self) -> None:
        assert msgspec.to_builtins(self.engine.counts()) == self.naive.counts()
        assert self.engine.last_seq == len(events_of(self.naive.log))
        places, counts = self.engine.places, self.engine.counts()
        assert (places.pending, places.kept) == (counts.running + counts.paused, 0)
        assert places.ended == counts.fired + counts.cancelled
        shares = places.shares
        held = {} if shares is None else {share.prefix: share.pending for share in shares}
        assert held == {prefix: self.naive.pending(prefix) for prefix in self.naive.shares}
        next_due_ms = self.naive.next_due_ms()
        assert self.engine.next_due_ns() == (None if next_due_ms is None else next_due_ms * NS_PER_MS)

    @invariant()
    def stores_hold_what_is_needed_and_no_more(self) -> None:
        for store, log in zip(self.stores, self.logs, strict=True):
            assert [entry_view(entry, log) for entry in entries_in(store)] == self.naive.stored()

    # Parts

    def open(self) -> list[Header]:
        """Opens the stores. No game takes the disk's power away, so nothing has to wait for it."""
        headers = [store.open() for store in self.stores]
        self.sqlite._database.execute("PRAGMA synchronous = OFF")
        return headers

    def new_engine(self) -> Engine:
        def new_id(_: int) -> str:
            self.made += 1
            return f"made/{self.made - 1}"

        return Engine(LIMITS, new_id, readers=self.readers)

    def list_page(self, params: ListParams) -> Listing:
        return list_page([Line(self.engine.order)], params, 10_000)

    def compare(self, params: TimerParams, request: dict[str, Any]) -> Outcome:
        outcome = self.ask(params)
        self.note_moments()
        assert outcome == self.naive.request(request, self.now_ns)
        return outcome

    def ask(self, params: TimerParams) -> Outcome:
        try:
            answer = self.engine.handle(params, self.now_ns)
            if isinstance(answer, Recall):
                answer = self.engine.handle(params, self.now_ns, self.recall(answer))
        except Refusal as refusal:
            return "error", int(refusal.code)
        return "timer", self.view(answer)

    def recall(self, recall: Recall) -> Countdown:
        timer, same = [log.event(recall.place) for log in self.logs]
        assert timer == same
        return timer

    def view(self, timer: Countdown | Recall) -> dict[str, Any]:
        known = self.recall(timer) if isinstance(timer, Recall) else timer
        return timer_view(known, self.now_ns // NS_PER_MS)

    def note_moments(self) -> None:
        del self.moments_ns[len(events_of(self.naive.log)) + 1 :]
        self.moments_ns += [self.now_ns] * (self.engine.last_seq + 1 - len(self.moments_ns))

    def naive_seq_at(self, place: int) -> int:
        return len(events_of(self.naive.log[:place]))


TestEngine = EngineMachine.TestCase
TestEngine.settings = settings(max_examples=2 * settings.default.max_examples)
