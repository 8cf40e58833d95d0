"""Several servers, a network that cuts and loses, and owners that change: each request is applied once at most, in
order, and answered once, in its time."""

from typing import Any, NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from drivers.several_servers import Server, SharedStore
from timer_protocol.errors import ErrorCode
from timer_server.requests.forwards import FORWARD_WITHIN_MS
from timer_server.requests.placement import shard_number

SHARDS = 2
TIMERS = [f"t{number}" for number in range(4)]
LONG_S = 1_000_000
NAMES = ["a", "b", "c"]

servers = st.sampled_from(NAMES)
pairs = st.tuples(servers, servers).filter(lambda pair: pair[0] != pair[1])
connections = st.sampled_from([b"1", b"1", b"1", b"2"])
calls = st.tuples(
    st.sampled_from(["extend", "extend", "extend", "start", "get", "wait", "notify"]), st.sampled_from(TIMERS)
)


class Asked(NamedTuple):
    """A request: of which connection it is, and what it asks. `amount` names it in the log, where it is a change."""

    connection: tuple[str, bytes]
    number: int
    method: str
    timer_id: str
    amount: int


class ForwardsMachine(RuleBasedStateMachine):
    """A server is known by its name while its incarnations change; who was killed takes its clients' requests along."""

    def __init__(self) -> None:
        super().__init__()
        self.store = SharedStore(SHARDS, max_duration_s=10 * LONG_S)
        self.incarnations: dict[str, str] = {}
        self.number = 0
        self.waiting: dict[tuple[str, bytes, int], Asked] = {}
        self.done: list[Asked] = []
        self.never: set[int] = set()

    @initialize()
    def begin(self) -> None:
        for name in NAMES:
            self.begin_server(name)
        for number in range(SHARDS):
            self.store.give(number, "a0")
        first = self.store.servers["a0"]
        for timer_id in TIMERS:
            first.call("timer.start", id=timer_id, seconds=LONG_S)
        self.store.run(1)
        first.take_told()
        for number in range(SHARDS):
            self.store.give(number, f"{NAMES[number % 3]}0")
        self.store.run(1)
        self.store.follow()

    # Clients

    @rule(name=servers, connection=connections, asked=st.lists(calls, min_size=1, max_size=4))
    def ask(self, name: str, connection: bytes, asked: list[tuple[str, str]]) -> None:
        """One message: a request, or a batch."""
        incarnation = self.incarnations[name]
        requests = []
        for kind, timer_id in asked:
            self.number += 1
            requests.append(request(kind, timer_id, self.number))
            if kind != "notify":
                key = incarnation, connection
                self.waiting[(*key, self.number)] = Asked(key, self.number, kind, timer_id, self.number)
        self.server(name).send(connection, *requests)

    @rule(name=servers, to=servers, timer_id=st.sampled_from(TIMERS), connection=connections, is_seen=st.booleans())
    def ask_around_a_change(self, name: str, to: str, timer_id: str, connection: bytes, is_seen: bool) -> None:
        """A change is in flight when another server takes its shard, and the next one comes after that."""
        self.ask(name, connection, [("extend", timer_id)])
        self.turn(name)
        self.store.give(shard_number(timer_id, SHARDS), self.incarnations[to])
        if is_seen:
            self.store.follow()
        self.ask(name, connection, [("extend", timer_id)])
        self.turn(name)

    @rule(pair=pairs, timer_id=st.sampled_from(TIMERS), connection=connections, is_late=st.booleans())
    def ask_around_a_cut(self, pair: tuple[str, str], timer_id: str, connection: bytes, is_late: bool) -> None:
        """A change is in flight when its connection breaks, and the next one comes after that."""
        self.ask(pair[0], connection, [("extend", timer_id)])
        self.turn(pair[0])
        self.cut(pair, is_late)
        self.connect(pair)
        self.ask(pair[0], connection, [("extend", timer_id)])
        self.turn(pair[0])

    # Servers

    @rule(name=servers)
    def turn(self, name: str) -> None:
        self.server(name).turn()

    @rule(name=servers)
    def settle(self, name: str) -> None:
        self.server(name).settle()
        self.hear(self.server(name))

    @rule(name=servers)
    def follow(self, name: str) -> None:
        self.server(name).follow()

    @rule(name=servers)
    def restart(self, name: str) -> None:
        killed = self.incarnations[name]
        self.store.kill(killed)
        self.waiting = {key: asked for key, asked in self.waiting.items() if key[0] != killed}
        self.begin_server(name)

    @rule(name=servers, number=st.integers(0, SHARDS - 1))
    def own(self, name: str, number: int) -> None:
        """A server takes a shard, or raises the epoch of one that it has."""
        self.store.give(number, self.incarnations[name])

    @rule(number=st.integers(0, SHARDS - 1))
    def raise_epoch(self, number: int) -> None:
        """An owner makes sure of a shard, and the others learn of it."""
        owner = self.store.owners.get(number)
        if owner is not None and owner.incarnation in self.store.servers:
            self.store.give(number, owner.incarnation)
            self.store.follow()

    @rule(number=st.integers(0, SHARDS - 1))
    def nobody_owns(self, number: int) -> None:
        self.store.owners.pop(number, None)

    @rule(milliseconds=st.sampled_from([1, 500, 1500]))
    def pass_time(self, milliseconds: int) -> None:
        self.store.pass_time(milliseconds)

    # The network

    @rule(pair=pairs, what=st.sampled_from(["requests", "requests", "replies", "replies", "late"]))
    def deliver(self, pair: tuple[str, str], what: Any) -> None:
        self.store.deliver(*self.link(pair), what)

    @rule(pair=pairs, is_late=st.booleans())
    def cut(self, pair: tuple[str, str], is_late: bool) -> None:
        self.store.cut(*self.link(pair), is_late)

    @rule(pair=pairs)
    def connect(self, pair: tuple[str, str]) -> None:
        self.store.connect(*self.link(pair))

    @rule()
    def run_all(self) -> None:
        self.store.run(2)
        self.hear_all()

    # The end

    def teardown(self) -> None:
        if not self.incarnations:
            return
        for milliseconds in (0, FORWARD_WITHIN_MS):
            self.store.pass_time(milliseconds)
            for server in self.store.servers.values():
                for _ in range(2):
                    server.turn()
                    server.settle_all()
        self.hear_all()
        assert not self.waiting, "requests without an answer"
        for server in self.store.servers.values():
            assert not server.forwards.room.requests, "errands that nobody waits for"
            assert not len(server.forwards.lines), "lines that nobody waits in"
            assert (server.forwards.room.requests, server.forwards.room.bytes) == (0, 0)
        self.judge()

    def judge(self) -> None:
        """Compares what was told with what is in the logs."""
        for number in range(SHARDS):
            applied = [amount for amount in map(amount_of, self.changes(number)) if amount]
            assert len(applied) == len(set(applied)), "applied twice"
            assert self.never.isdisjoint(applied), "applied, and refused as never sent"
            places = {amount: place for place, amount in enumerate(applied)}
            last: dict[tuple[str, bytes], int] = {}
            for asked in self.done:
                if shard_number(asked.timer_id, SHARDS) == number and asked.method == "extend":
                    assert asked.amount in places, "lost"
                    before = last.get(asked.connection, -1)
                    assert places[asked.amount] > before, "out of order"
                    last[asked.connection] = places[asked.amount]

    # Parts

    def server(self, name: str) -> Server:
        return self.store.servers[self.incarnations[name]]

    def begin_server(self, name: str) -> None:
        before = self.incarnations.get(name)
        incarnation = self.incarnations[name] = f"{name}{0 if before is None else int(before[1:]) + 1}"
        self.store.start(incarnation).follow()

    def link(self, pair: tuple[str, str]) -> tuple[str, str]:
        return self.incarnations[pair[0]], self.incarnations[pair[1]]

    def hear_all(self) -> None:
        for server in self.store.servers.values():
            self.hear(server)

    def hear(self, server: Server) -> None:
        """Clients take their replies: each answers a request of that connection that has no answer yet."""
        told, server.told = server.told, []
        for connection, body in told:
            for response in body if isinstance(body, list) else [body]:
                asked = self.waiting.pop((server.incarnation, connection, response["id"]))
                if "result" in response:
                    assert response["result"]["id"].startswith("n" if asked.method == "start" else asked.timer_id)
                    self.done.append(asked)
                elif response["error"]["code"] == ErrorCode.SHUTTING_DOWN:
                    self.never.add(asked.amount)
                else:
                    assert response["error"]["code"] == ErrorCode.STORAGE_FAILED, response
        self.done.sort(key=lambda asked: asked.number)

    def changes(self, number: int) -> list[tuple[Any, Any]]:
        """Each event of a shard, and the one of its timer before."""
        before: dict[str, Any] = {}
        found = []
        for event in self.store.events(number):
            found.append((event, before.get(event.id)))
            before[event.id] = event
        return found


def request(kind: str, timer_id: str, number: int) -> dict[str, Any]:
    """A request, whose number is in what it changes."""
    match kind:
        case "start":
            return {"id": number, "method": "timer.start", "params": {"id": f"n{number}", "seconds": LONG_S + number}}
        case "extend" | "notify":
            call = {"method": "timer.extend", "params": {"id": timer_id, "seconds": number / 1000}}
            return call if kind == "notify" else {"id": number, **call}
        case "wait":
            return {"id": number, "method": "timer.wait", "params": {"id": timer_id, "wait_ms": 1000}}
        case _:
            return {"id": number, "method": "timer.get", "params": {"id": timer_id}}


def amount_of(change: tuple[Any, Any]) -> int:
    """The number of the request that has made a change; 0 where it was none of the game."""
    event, before = change
    after_ms = event.view(0).duration_ms
    if event.kind == "extended":
        return int(after_ms - before.view(0).duration_ms)
    return int(after_ms - LONG_S * 1000) // 1000 if event.id.startswith("n") else 0


TestForwards = ForwardsMachine.TestCase
TestForwards.settings = settings(max_examples=settings.default.max_examples * 3 // 5, stateful_step_count=40)
