"""One queue over several shards in games of any length, against a plainly told queue for each shard.

What the shards do by themselves is played in tests/core. Here the workers are what counts: whatever shards there are,
they see one queue, which gives as much as all have, each end to one of them, and in the order of each log.
"""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from core.naive_queues import NaiveQueue, ceil_ms
from drivers.sharded_desk import body
from server_requests.queue_desk import QueueCluster, QueueDesk
from timer_server.core.model import Countdown
from timer_server.core.queues.changes import Settings
from timer_server.requests.answers import Answer

DEFAULTS = {name: getattr(Settings(""), name) for name in Settings.__struct_fields__}
KINDS = ("ready", "leased", "delayed", "dead", "dropped")
STRANGE = "AAAAAAAAAAA~q~1"
keys = st.sampled_from([None, "k", "l"])
some = st.lists(st.integers(0, 40), min_size=1, max_size=6)


class ShardsMachine(RuleBasedStateMachine):
    """`naive` has the queue of each shard. `waiting` are takes without an answer, `given` all receipts ever seen."""

    count = 1

    def __init__(self) -> None:
        super().__init__()
        self.desk = self.open()
        self.naive = [NaiveQueue(dict(DEFAULTS)) for _ in range(self.count)]
        self.version = 0
        self.serial = 0
        self.given: list[str] = []
        self.waiting: list[tuple[Answer, int]] = []
        self.seq_of: dict[tuple[int, int], int] = {}

    @initialize(
        lease_ms=st.sampled_from([1_000, 30_000]),
        max_deliveries=st.sampled_from([0, 2]),
        step_ms=st.sampled_from([0, 2_501]),
    )
    def begin(self, lease_ms: int, max_deliveries: int, step_ms: int) -> None:
        """With one timeline for all shards, or with several, seconds apart."""
        self.desk.spread(step_ms)
        self.put({"lease_ms": lease_ms, "max_deliveries": max_deliveries, "backoff_ms": [1_000]})

    def open(self) -> QueueDesk | QueueCluster:
        """The servers that are played with."""
        return QueueDesk(self.count)

    # The queue

    @rule(
        asked=st.sampled_from(
            [{}, {"lease_ms": 2_000}, {"max_deliveries": 3}, {"max_backlog": 2}, {"max_backlog": 50}, {"max_dead": 2}]
        )
    )
    def put(self, asked: dict[str, Any]) -> None:
        told = self.desk.result("queue.put", queue="q", prefix="", **asked)
        chosen = {key: tuple(value) if isinstance(value, list) else value for key, value in asked.items()}
        is_changed = not self.version or any(self.naive[0].settings[key] != value for key, value in chosen.items())
        self.version += is_changed
        assert told["version"] == self.version
        for naive in self.naive:
            naive.settings |= chosen
        self.pass_time(0)

    @rule()
    def delete_and_make_again(self) -> None:
        self.end_waits(self.desk.ask("queue.delete", queue="q"))
        self.naive = [NaiveQueue(dict(DEFAULTS)) for _ in range(self.count)]
        self.version = 0
        self.put({"lease_ms": 1_000, "backoff_ms": [1_000]})

    # Ends and time

    @rule(shards=st.lists(st.integers(0, 15), min_size=1, max_size=6))
    def some_end(self, shards: list[int]) -> None:
        for shard in shards:
            self.serial += 1
            self.desk.begin(self.desk.name_in(shard % self.count, f"{self.serial}/"))
        self.pass_time(1_000)

    @rule(ms=st.sampled_from([0, 1, 999, 1_000, 2_000, 15_000, 30_000]))
    def pass_time(self, ms: int) -> None:
        """A turn. What has ended is ready in it, and so is what runs out; then those who wait are served."""
        answers = self.desk.wait(ms)
        self.happen()
        for answer in answers:
            self.served(answer)
        assert not self.waiting or not self.ready()

    @rule()
    def restart(self) -> None:
        self.pass_time(0)
        self.desk.reload()
        self.waiting.clear()
        for shard, naive in enumerate(self.naive):
            naive.server_started(ceil_ms(self.now_ns(shard)))
        self.pass_time(0)

    # Workers

    @rule(most=st.integers(1, 6), key=keys)
    def take(self, most: int, key: str | None) -> None:
        known = [naive.remembered(key, self.now_ns(shard)) for shard, naive in enumerate(self.naive)]
        deliveries = self.desk.result("queue.take", queue="q", max=most, key=key)["deliveries"]
        if any(found is not None for found in known):
            numbers = [end["number"] for found in known for end in found or []]
            assert [self.place_of(delivery["receipt"])[1] for delivery in deliveries] == numbers
        else:
            self.leased(deliveries, most, key)

    @rule(most=st.integers(1, 4))
    def wait_for_some(self, most: int) -> None:
        answer = self.desk.ask("queue.take", queue="q", max=most, wait_ms=20_000)
        if answer.missing:
            assert not self.ready()
            self.waiting.append((answer, most))
        else:
            self.leased(body(answer)["result"]["deliveries"], most, None)

    @precondition(lambda self: self.given)
    @rule(some=some)
    def ack(self, some: list[int]) -> None:
        receipts = self.chosen(some)
        result = self.desk.result("queue.ack", queue="q", receipts=receipts)
        done = [naive.ack(self.numbers(receipts, shard))[0] for shard, naive in enumerate(self.naive)]
        self.parted(receipts, done, result["done"], result["lost"])

    @precondition(lambda self: self.given)
    @rule(some=some, then=st.sampled_from(["retry", "return", "dead"]))
    def nack(self, some: list[int], then: Any) -> None:
        receipts = self.chosen(some)
        result = self.desk.result("queue.nack", queue="q", receipts=receipts, then=then)
        done = [
            naive.nack(self.numbers(receipts, shard), then, None, None, self.now_ns(shard))[0]
            for shard, naive in enumerate(self.naive)
        ]
        self.parted(receipts, done, result["done"], result["lost"])
        self.pass_time(0)

    @precondition(lambda self: self.given)
    @rule(some=some, lease_ms=st.sampled_from([None, 5_000]))
    def renew(self, some: list[int], lease_ms: int | None) -> None:
        receipts = self.chosen(some)
        result = self.desk.result("queue.renew", queue="q", receipts=receipts, lease_ms=lease_ms)
        leased = [
            naive.renew(self.numbers(receipts, shard), lease_ms, self.now_ns(shard))[0]
            for shard, naive in enumerate(self.naive)
        ]
        self.parted(receipts, leased, result["leased"], result["lost"])

    # Dead letters

    @rule(limit=st.integers(1, 4))
    def read_dead(self, limit: int) -> None:
        found: list[dict[str, Any]] = []
        after = None
        while not found or after is not None:
            page = self.desk.result("queue.dead", queue="q", limit=limit, after=after)
            found, after = found + page["dead"], page["next"]
            assert len(page["dead"]) <= limit
            if not found:
                break
        self.learn([letter["receipt"] for letter in found])
        assert [self.place_of(letter["receipt"]) for letter in found] == self.dead()

    @rule(limit=st.integers(1, 4), is_revived=st.booleans())
    def move_dead(self, limit: int, is_revived: bool) -> None:
        self.read_dead(4)
        chosen = self.dead()[:limit]
        result = self.desk.result("queue.revive" if is_revived else "queue.drop", queue="q", limit=limit)
        assert [self.place_of(receipt) for receipt in result["done"]] == chosen
        for shard, naive in enumerate(self.naive):
            numbers = [number for at, number in chosen if at == shard]
            if is_revived:
                naive.revive(numbers, self.now_ns(shard))
            else:
                naive.drop(numbers)
        self.pass_time(0)

    # What must hold

    @invariant()
    def counts_are_sums(self) -> None:
        told = self.desk.result("queue.get", queue="q")
        assert [told[kind] for kind in KINDS] == [sum(naive.count(kind) for naive in self.naive) for kind in KINDS]

    @invariant()
    def what_waits_is_bounded_in_each_shard(self) -> None:
        assert len(self.desk.parked) == len(self.waiting)
        for naive in self.naive:
            assert naive.count("ready", "delayed") <= naive.settings["max_backlog"]

    # Parts

    def now_ns(self, shard: int) -> int:
        """The time in a shard."""
        return self.desk.shards.owned[shard].at(self.desk.now_ns)

    def happen(self) -> None:
        """Has the plain queues do what the turn did before takes were served."""
        for shard, (naive, events) in enumerate(zip(self.naive, self.desk.told, strict=True)):
            for event in events:
                self.seq_of[shard, event.place] = event.seq
                if event.state == "fired":
                    naive.offer(view(event))
            naive.step(self.now_ns(shard))

    def served(self, answer: Answer) -> None:
        """An answer to one that waited: nothing where its time was up; otherwise it was the first in line."""
        deliveries = body(answer)["result"]["deliveries"]
        if deliveries:
            first, most = self.waiting[0]
            assert first is answer
            self.leased(deliveries, most, None)
        self.waiting = [entry for entry in self.waiting if entry[0] is not answer]

    def end_waits(self, deletion: Answer) -> None:
        told = [*self.desk.parked.take_ready()]
        while deletion.missing:
            told += self.desk.turn()
        assert body(deletion)["result"] == {"deleted": True}
        assert all("error" in body(answer) for answer, _ in self.waiting)
        self.waiting.clear()

    def ready(self) -> int:
        return sum(naive.count("ready") for naive in self.naive)

    def leased(self, deliveries: list[dict[str, Any]], most: int, key: str | None) -> None:
        """As many as there are, of each shard the first, under new numbers."""
        assert len(deliveries) == min(most, self.ready())
        for shard, naive in enumerate(self.naive):
            numbers = [number for at, number in self.places(deliveries) if at == shard]
            ends = naive.first_ready(len(numbers), 10**9, self.now_ns(shard)) if numbers else []
            naive.lease(ends, numbers, key, self.now_ns(shard))
        for delivery in deliveries:
            shard, number = self.place_of(delivery["receipt"])
            end = self.naive[shard].opened(number)
            assert end is not None
            assert (self.seq_of[shard, end["place"]], end["attempts"], end["at_ms"]) == (
                delivery["event"]["seq"],
                delivery["attempt"],
                delivery["leased_until_ms"],
            )
        fresh = [delivery["receipt"] for delivery in deliveries]
        assert not set(fresh) & set(self.given)
        self.given += fresh

    def chosen(self, some: list[int]) -> list[str]:
        receipts = [*reversed(self.given), STRANGE]
        return [receipts[at % len(receipts)] for at in some]

    def numbers(self, receipts: list[str], shard: int) -> list[int]:
        return [self.place_of(one)[1] for one in receipts if one != STRANGE and self.place_of(one)[0] == shard]

    def parted(self, asked: list[str], found: list[list[int]], done: list[str], lost: list[str]) -> None:
        """The answer names each receipt once, in the order of the request."""
        good = {(shard, number) for shard, numbers in enumerate(found) for number in numbers}
        once = list(dict.fromkeys(asked))
        assert done == [one for one in once if one != STRANGE and self.place_of(one) in good]
        assert lost == [one for one in once if one not in done]

    def place_of(self, receipt: str) -> tuple[int, int]:
        """The shard and the number that a receipt names."""
        log, _, number = receipt.split("~")
        return int(log[3:]), int(number)

    def places(self, deliveries: list[dict[str, Any]]) -> list[tuple[int, int]]:
        return [self.place_of(delivery["receipt"]) for delivery in deliveries]

    def dead(self) -> list[tuple[int, int]]:
        """The dead letters of all shards in the order of their deaths."""
        letters = [
            (end["at_ms"], shard, end["death"], end["number"])
            for shard, naive in enumerate(self.naive)
            for end in naive.dead()
        ]
        return [(shard, number) for _, shard, _, number in sorted(letters, key=lambda letter: letter[:3])]

    def learn(self, receipts: list[str]) -> None:
        """Ends that died without a lease have got numbers meanwhile."""
        numbers: list[list[int]] = [[] for _ in self.naive]
        for shard, number in map(self.place_of, receipts):
            numbers[shard].append(number)
        for naive, found in zip(self.naive, numbers, strict=True):
            for end, number in zip(naive.dead(), found, strict=True):
                end["number"] = number if end["number"] is None else end["number"]


def view(event: Countdown) -> dict[str, Any]:
    return {
        "id": event.id,
        "state": event.state,
        "place": event.place,
        "at_ms": event.at_ms,
        "size": len(event.payload),
    }


class ClusterMachine(ShardsMachine):
    """Over three servers, which divide the shards. Nobody waits: what others have leased for a take that waits, and
    give back, has a new number, so that a late receipt of the lease before settles nothing any more."""

    count = 8
    wait_for_some = None  # type: ignore[assignment]

    def open(self) -> QueueCluster:
        return QueueCluster(self.count)


class ThreeShardsMachine(ShardsMachine):
    count = 3


class SixteenShardsMachine(ShardsMachine):
    count = 16


TestOneShard, TestThreeShards, TestSixteenShards, TestCluster = (
    machine.TestCase for machine in (ShardsMachine, ThreeShardsMachine, SixteenShardsMachine, ClusterMachine)
)
TestOneShard.settings = TestThreeShards.settings = TestSixteenShards.settings = TestCluster.settings = settings(
    max_examples=settings.default.max_examples // 5, stateful_step_count=25
)
