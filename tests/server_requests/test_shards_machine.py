"""Servers of one shard and of several answer the same, whatever is asked of them and whenever a turn ends.

Only what tells of logs may differ: their ids, `seq`, their timelines, and the order of events of different logs.
"""

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from drivers.builders import NS_PER_MS
from drivers.cluster_desk import ClusterDesk
from drivers.sharded_desk import ShardedDesk, body
from timer_server.requests.answers import Answer

COUNTS = (1, 3, 16)
LIMITS = {"max_batch": 8, "max_duration_s": 3600, "max_payload_bytes": 20, "retention_s": 600}
PLENTY = 1_000_000

ids = st.sampled_from(["a", "a/1", "a/2", "a/3", "b", "c", "B", "d", "p~19700101T000000Z", "no id"])
prefixes = st.sampled_from(["", "a", "a/", "p", "p~", "q", "x", "made/"])
keys = st.none() | st.sampled_from(["k", "l"])
seconds = st.sampled_from([1, 1, 2, 60, 60, 0, -1, 0.001, 10_000])
payloads = st.sampled_from([None, {"a": 1}, "x" * 15, "x" * 40])
changes = st.sampled_from(["pause", "resume", "cancel", "restart"])
limits = st.integers(1, 5)
states = st.none() | st.lists(st.sampled_from(["running", "paused", "fired", "cancelled"]), min_size=1, max_size=3)
plans = st.sampled_from(["p", "q", "u"])
rules = st.sampled_from(
    [
        {"every": {"seconds": 1}},
        {"every": {"seconds": 40}, "count": 3},
        {"cron": "* * * * *", "zone": "UTC"},
        {"steps": [{"seconds": 1}, {"seconds": 2, "label": "rest"}]},
    ]
)

starts = st.one_of(
    st.fixed_dictionaries({"id": ids, "seconds": seconds, "payload": payloads}),
    st.fixed_dictionaries({"seconds": st.sampled_from([1, 60])}),
)
requests = st.one_of(
    st.tuples(st.just("timer.start"), starts),
    st.tuples(st.just("timer.get"), st.fixed_dictionaries({"id": ids})),
    st.tuples(changes.map("timer.{}".format), st.fixed_dictionaries({"id": ids, "key": keys})),
    st.tuples(st.just("timer.extend"), st.fixed_dictionaries({"id": ids, "seconds": seconds, "key": keys})),
    st.tuples(st.just("plan.get"), st.fixed_dictionaries({"plan": plans})),
    st.tuples(st.just("server.info"), st.just({})),
)

PAGES_MOST = 20
MOMENTS = {"at_ms", "started_at_ms", "due_at_ms", "ended_at_ms"}


class ShardsMachine(RuleBasedStateMachine):
    """`waiting` are the messages that have yet to be answered: the answers of all servers to each."""

    def __init__(self) -> None:
        super().__init__()
        self.desks: list[ShardedDesk] = []
        self.waiting: list[list[Answer]] = []
        self.has_one_timeline = True
        self.has_forgotten = False

    @initialize(max_timers=st.sampled_from([6, PLENTY]), step_ms=st.sampled_from([0, 2_501]))
    def begin(self, max_timers: int, step_ms: int) -> None:
        """With one timeline for all shards, or with several, seconds apart."""
        self.desks = [ShardedDesk(count, max_timers=max_timers, **LIMITS) for count in COUNTS]
        for desk in self.desks:
            desk.spread(step_ms)
        self.has_one_timeline = not step_ms

    # Requests

    @rule(request=requests)
    def ask(self, request: tuple[str, dict[str, Any]]) -> None:
        self.same(request)

    @rule(batch=st.lists(requests, min_size=2, max_size=6))
    def ask_many(self, batch: list[tuple[str, dict[str, Any]]]) -> None:
        self.same(*batch)

    @rule(rows=st.lists(st.tuples(ids, seconds, payloads), max_size=9))
    def start_many(self, rows: list[tuple[str, Any, Any]]) -> None:
        columns = {
            "ids": [row[0] for row in rows],
            "seconds": [row[1] for row in rows],
            "payloads": [row[2] for row in rows],
        }
        self.same(("timer.start_many", columns))

    @rule(
        action=changes,
        which=st.one_of(
            st.fixed_dictionaries({"prefix": prefixes}),
            st.fixed_dictionaries({"ids": st.lists(ids, max_size=6)}),
        ),
        among=states,
        limit=limits,
        dry_run=st.booleans(),
    )
    def change_many(
        self, action: str, which: dict[str, Any], among: list[str] | None, limit: int, dry_run: bool
    ) -> None:
        """The pages of a change. Each may find a timer that a plan has started for the one which the last has ended."""
        params = {"action": action, **which, "limit": limit, "key": "k", "dry_run": dry_run}
        if among is not None:
            params["states"] = among
        after = None
        for _ in range(PAGES_MOST):
            page = self.same(("timer.change_many", {**params, "after": after}))
            if "error" in page or page["result"]["next"] is None:
                return
            after = page["result"]["next"]

    @rule(id=ids, wait_ms=st.sampled_from([1, 1500, 60_000]))
    def wait_for_an_end(self, id: str, wait_ms: int) -> None:
        self.same(("timer.wait", {"id": id, "wait_ms": wait_ms}))

    @rule(prefix=prefixes, wait_ms=st.sampled_from([1, 1500, 60_000]), batch=st.lists(requests, max_size=2))
    def wait_for_an_event(self, prefix: str, wait_ms: int, batch: list[tuple[str, dict[str, Any]]]) -> None:
        """From now on, by itself or with others in a batch."""

        def read(desk: ShardedDesk) -> tuple[str, dict[str, Any]]:
            after = desk.result("server.info")["cursor"]
            return "events.read", {"prefix": prefix, "wait_ms": wait_ms, "after": after, "limit": 1000}

        self.compare([desk.send(read(desk), *batch) for desk in self.desks])

    # Plans

    @rule(plan=plans, asked=rules, paused=st.none() | st.booleans())
    def put(self, plan: str, asked: dict[str, Any], paused: bool | None) -> None:
        overlap = "allow" if plan == "p" else "skip"
        if not self.has_one_timeline:  # only what goes by the wall clock has the same moments, and ids, on all of them
            asked = {"cron": "* * * * *", "zone": "UTC"}
        params = {"plan": plan, **asked, "paused": paused, "overlap": overlap}
        self.same(("plan.put", params if paused is not None else {**params, "paused": False}))

    @rule(plan=plans, do=st.sampled_from(["pause", "resume", "skip", "delete", "get"]))
    def change_plan(self, plan: str, do: str) -> None:
        self.same((f"plan.{do}", {"plan": plan}))

    @rule(key=keys)
    def run(self, key: str | None) -> None:
        self.same(("plan.run", {"plan": "p", "key": key}))

    # Time

    @rule(ms=st.sampled_from([0, 1, 999, 1000, 2001, 60_000]), turns=st.booleans())
    def pass_time(self, ms: int, turns: bool) -> None:
        """With a turn at its end, or with requests that come before it."""
        for desk in self.desks:
            desk.now_ns += ms * 1_000_000
        if turns:
            self.turn()

    @rule()
    def turn(self) -> None:
        for desk in self.desks:
            desk.turn()
        waiting, self.waiting = self.waiting, []
        for answers in waiting:
            self.compare(answers)

    @rule()
    def commit(self) -> None:
        for desk in self.desks:
            desk.commit()

    @precondition(lambda self: self.desks[0].limits.max_timers == PLENTY)  # else each shard forgets some early
    @rule()
    def forget_what_has_ended(self) -> None:
        self.has_forgotten = True
        self.pass_time(LIMITS["retention_s"] * 1000, True)
        self.pass_time(LIMITS["retention_s"] * 1000, True)
        for desk in self.desks:
            desk.forget()

    @rule()
    def crash(self) -> None:
        self.turn()
        for desk in self.desks:
            desk.reload()
        self.waiting.clear()

    @rule(maxima=st.dictionaries(st.sampled_from(["a/", "a", "p", "made/"]), st.integers(1, 3), max_size=2))
    def share_out(self, maxima: dict[str, int]) -> None:
        for desk in self.desks:
            desk.share_out(maxima)

    # What there is

    @rule(prefix=prefixes, among=states, limit=limits, within_s=st.none() | st.sampled_from([1, 100]))
    def walk_list(self, prefix: str, among: list[str] | None, limit: int, within_s: int | None) -> None:
        params: dict[str, Any] = {"prefix": prefix, "limit": limit}
        if within_s is not None:
            params["due_before_ms"] = self.desks[0].now_ns // 1_000_000 + within_s * 1000
        elif among is not None:
            params["states"] = among
        found = [told(desk.pages("timer.list", "timers", **params), desk) for desk in self.desks]
        assert found[1:] == found[:-1]
        listed = [timer["id"] for timer in found[0]]
        assert listed == sorted(set(listed))

    @rule(prefix=prefixes, limit=limits)
    def list_by_deadline(self, prefix: str, limit: int) -> None:
        pages = [desk.result("timer.list", prefix=prefix, limit=limit, order="due") for desk in self.desks]
        due = [
            [timer["due_at_ms"] for timer in told(page["timers"], desk)]
            for page, desk in zip(pages, self.desks, strict=True)
        ]
        assert due[1:] == due[:-1]
        assert len({page.get("complete", True) for page in pages}) == 1
        assert due[0] == sorted(due[0])

    @rule(limit=limits)
    def walk_plans(self, limit: int) -> None:
        found = [told(desk.pages("plan.list", "plans", limit=limit), desk) for desk in self.desks]
        assert found[1:] == found[:-1]

    @rule()
    def read_events(self) -> None:
        """Those of one timer have one order. Of what is just as old as retention one desk may hold more than another,
        since each log goes by its own clock."""
        by_timer: list[dict[str, list[Any]]] = []
        for desk in self.desks:
            desk.commit()
            events: dict[str, list[Any]] = {}
            for event in told(desk.events(), desk):
                events.setdefault(event["timer"]["id"], []).append(event)
            by_timer.append(events)
        for timer_id in set().union(*by_timer):
            of_desks = [events.get(timer_id, []) for events in by_timer]
            if self.has_forgotten:
                kept = min(map(len, of_desks))
                of_desks = [events[len(events) - kept :] for events in of_desks]
            assert of_desks[1:] == of_desks[:-1]

    @invariant()
    def places_are_counted(self) -> None:
        counted = [
            (places.pending, places.kept, places.ended, [share.pending for share in places.shares or ()])
            for places in (desk.places for desk in self.desks)
        ]
        assert counted[1:] == counted[:-1], counted
        for desk in self.desks:
            ledgers = [shard.engine._ledger for shard in desk.shards.owned]
            assert desk.places.pending == sum(ledger.pending_count() for ledger in ledgers)
            assert desk.places.kept == sum(ledger.kept_count() for ledger in ledgers)
            assert desk.places.ended == sum(ledger.ended_count for ledger in ledgers)

    # Parts

    def same(self, *calls: tuple[str, dict[str, Any]]) -> Any:
        """What all servers answer to a message."""
        return self.compare([desk.send(*calls) for desk in self.desks])

    def compare(self, answers: Sequence[Answer | None]) -> Any:
        """The answer of all servers to one message; None where it is still to come."""
        owed = [answer for answer in answers if answer is not None]
        assert len(owed) == len(self.desks)
        (missing,) = {answer.missing for answer in owed}
        if missing:
            self.waiting.append(owed)
            return None
        first, *others = [told(body(answer), desk) for answer, desk in zip(owed, self.desks, strict=True)]
        assert others == [first] * len(others)
        return first


def told(value: Any, desk: ShardedDesk) -> Any:
    """What an answer says, without what tells of logs, and with all moments by the clock of the desk."""
    if isinstance(value, list):
        return [told(one, desk) for one in value]
    if not isinstance(value, dict):
        return value
    if "events" in value:
        events = [told(event, desk) for event in value["events"]]
        return {**value, "events": sorted(events, key=json.dumps), "next": None}
    if "cursor" in value:
        told_ms = sorted(log["now_ms"] for log in value["logs"].values())
        assert [now_ms - told_ms[0] for now_ms in told_ms] == sorted(ns // NS_PER_MS for ns in desk.ahead_ns)
        return {**value, "cursor": sum(value["cursor"].values()), "logs": None}
    fields = {name: told(one, desk) for name, one in value.items() if name not in ("log", "seq")}
    timer_id = value["timer"]["id"] if "timer" in value else value.get("id")
    for name in MOMENTS & fields.keys():
        if isinstance(timer_id, str) and fields[name] is not None:
            fields[name] -= desk.ahead_ms(timer_id)
    return fields


class ClusterMachine(ShardsMachine):
    """A server beside three that divide the shards.

    Limits are those of each server, and not compared. Nor is what wakes who waits for an event: that is told of the
    logs of one server.
    """

    share_out = places_are_counted = wait_for_an_event = None  # type: ignore[assignment]

    @initialize(step_ms=st.sampled_from([0, 2_501]))
    def begin(self, step_ms: int) -> None:  # type: ignore[override]
        self.desks = [ShardedDesk(1, max_timers=PLENTY, **LIMITS), ClusterDesk(8, max_timers=PLENTY, **LIMITS)]
        for desk in self.desks:
            desk.spread(step_ms)
        self.has_one_timeline = not step_ms


TestShards, TestCluster = ShardsMachine.TestCase, ClusterMachine.TestCase
TestCluster.settings = settings(max_examples=settings.default.max_examples // 4)
TestShards.settings = settings(max_examples=settings.default.max_examples // 2)
