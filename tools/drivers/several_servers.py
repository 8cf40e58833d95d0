"""Several servers of one store without sockets: a network that delays, cuts and loses, and owners that change.

The test says what happens next. Each store is in memory, and fenced: it takes what its owner writes in its epoch.
"""

import json
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple

from drivers.builders import BEGIN_NS, CIVIL_TIME, NS_PER_MS
from drivers.desk import CODEC
from timer_protocol.frames import Message
from timer_protocol.limits import Limits
from timer_protocol.sender import EVERYBODY, Sender
from timer_server.core.effects import STANDING
from timer_server.core.engine import Engine
from timer_server.core.model import Countdown
from timer_server.core.places import Places
from timer_server.core.queues.queues import Queues
from timer_server.loop.chores import Expiry, PlanCare, QueueCare, Schedule, Waking, in_each_shard
from timer_server.loop.peer_traffic import PeerTraffic
from timer_server.loop.timeline_news import TimelineNews
from timer_server.requests.answers import Answer, JsonAnswer, PartAnswer, PeerAnswer
from timer_server.requests.aside import Aside
from timer_server.requests.forwarding import ForwardingDispatcher
from timer_server.requests.forwards import Forwards
from timer_server.requests.gathering import PartKinds
from timer_server.requests.methods import Handler, Methods
from timer_server.requests.over_servers import OverServers
from timer_server.requests.parked import Parked
from timer_server.requests.peer_dispatch import PeerDispatcher
from timer_server.requests.placement import Shards, shard_number
from timer_server.requests.plans import PlanMethods
from timer_server.requests.queue_parts import QueueParts
from timer_server.requests.queue_rules import QueueRules
from timer_server.requests.queues import QueueMethods
from timer_server.requests.servers import Servers
from timer_server.requests.shard import Shard, Writes
from timer_server.requests.tally import Tally
from timer_server.requests.timer_parts import timer_parts
from timer_server.store.log import Log
from timer_server.store.membership import Owner
from timer_server.store.memory import MemoryStore
from timer_server.store.postgres.seen import Seen
from timer_server.wire.peers import Incoming

BUDGET = 500
ALL_EVENTS = 1_000_000


class Link:
    """The connection of one server to another. `late` are messages of connections before, still to be read."""

    def __init__(self) -> None:
        self.is_up = True
        self.requests: deque[bytes] = deque()
        self.replies: deque[bytes] = deque()
        self.late: deque[bytes] = deque()


class FakePeers:
    """The sockets of one server to the others."""

    def __init__(self, store: "SharedStore", incarnation: str) -> None:
        self._store = store
        self._incarnation = incarnation
        self.inbox: deque[Incoming] = deque()
        self.sent: list[bytes] = []

    def send(self, incarnation: str, body: bytes) -> bool:
        link = self._store.link(self._incarnation, incarnation)
        if incarnation not in self._store.servers or not link.is_up:
            return False
        link.requests.append(body)
        self.sent.append(body)
        return True

    def reply(self, incarnation: str, body: bytes) -> bool:
        link = self._store.link(incarnation, self._incarnation)
        if incarnation not in self._store.servers or not link.is_up:
            return False
        link.replies.append(body)
        return True


class SharedStore:
    """What all servers share: the logs, who owns them in which epoch, the network and the time."""

    def __init__(
        self,
        count: int,
        handlers: Callable[["Server"], dict[str, Handler]] | None = None,
        parts: PartKinds | None = None,
        are_joined: bool = False,
        **limits: int,
    ) -> None:
        """With `are_joined` the servers answer requests about several shards together."""
        self.are_joined = are_joined
        self.limits = Limits(**limits)
        self.stores = [MemoryStore(f"log{number:08}") for number in range(count)]
        self.owners: dict[int, Owner] = {}
        self.epochs = [0] * count
        self.servers: dict[str, Server] = {}
        self.links: dict[tuple[str, str], Link] = {}
        self.now_ns = BEGIN_NS
        self.more_handlers = handlers
        self.parts = parts or {}

    def start(self, incarnation: str) -> "Server":
        """Starts a server, which owns nothing yet."""
        server = self.servers[incarnation] = Server(self, incarnation)
        return server

    def kill(self, incarnation: str) -> None:
        """Ends a server at once. Nobody owns its shards then, and its connections break."""
        del self.servers[incarnation]
        self.owners = {number: owner for number, owner in self.owners.items() if owner.incarnation != incarnation}
        for frm, to in [*self.links]:
            if incarnation in (frm, to):
                self.cut(frm, to)

    def give(self, number: int, incarnation: str) -> None:
        """Has a server own a shard in a new epoch. Who owned it before is not told."""
        server = self.servers[incarnation]
        standing = server.shards.numbered(number)
        goes_on = standing in server.current()
        self.epochs[number] += 1
        self.owners[number] = Owner(incarnation, self.epochs[number])
        if standing is not None and goes_on:
            standing.epoch = self.epochs[number]
            return
        if standing is not None:
            server.lose({number})
        server.shards.add(server.open(number))

    def follow(self) -> None:
        """All servers learn who owns what."""
        for server in self.servers.values():
            server.follow()

    def link(self, frm: str, to: str) -> Link:
        """The connection of a server to another."""
        return self.links.setdefault((frm, to), Link())

    def cut(self, frm: str, to: str, is_late: bool = False) -> None:
        """Breaks a connection. What was on it is lost; or its requests are read later, if `is_late`."""
        link = self.link(frm, to)
        if is_late:
            link.late += link.requests
        link.requests.clear()
        link.replies.clear()
        link.is_up = False
        self._tell(frm, Incoming(to, "broken"))
        self._tell(to, Incoming(frm, "left"))

    def connect(self, frm: str, to: str) -> None:
        """Makes a connection anew."""
        link = self.link(frm, to)
        if not link.is_up and {frm, to} <= self.servers.keys():
            link.is_up = True
            self._tell(to, Incoming(frm, "joined"))
            self._tell(frm, Incoming(to, "connected"))

    def deliver(self, frm: str, to: str, what: Literal["requests", "replies", "late"]) -> bool:
        """Has the oldest message of a kind come in. Returns whether there was one."""
        messages: deque[bytes] = getattr(self.link(frm, to), what)
        if not messages:
            return False
        body = messages.popleft()
        self._tell(
            frm if what == "replies" else to,
            Incoming(to, "reply", body) if what == "replies" else Incoming(frm, "request", body),
        )
        return True

    def deliver_all(self) -> None:
        """Has everything come in that is on its way."""
        for frm, to in [*self.links]:
            while any(
                [self.deliver(frm, to, "late"), self.deliver(frm, to, "requests"), self.deliver(frm, to, "replies")]
            ):
                pass

    def run(self, rounds: int = 6) -> None:
        """Lets all servers do what there is to do, and the network deliver it."""
        for _ in range(rounds):
            self.deliver_all()
            for server in [*self.servers.values()]:
                server.turn()
                server.settle_all()

    def pass_time(self, milliseconds: int) -> None:
        self.now_ns += milliseconds * NS_PER_MS

    def name_in(self, number: int, begin: str = "") -> str:
        """An id of a shard."""
        count = len(self.stores)
        return next(name for at in range(100_000) if shard_number(name := f"{begin}{at}", count) == number)

    def events(self, number: int) -> list[Countdown]:
        """All durable events of a shard."""
        store = self.stores[number]
        return Log(store, store.open()).page(0, "", ALL_EVENTS, ALL_EVENTS).events

    def _tell(self, incarnation: str, incoming: Incoming) -> None:
        if incarnation in self.servers:
            self.servers[incarnation].peers.inbox.append(incoming)


class Turn(NamedTuple):
    """What a turn has to make durable, and whom to tell then."""

    writes: list[tuple[Shard, Writes]]
    answers: list[Answer]


class Server:
    """One server. `told` are the messages that have been sent to its clients: connection and body."""

    def __init__(self, store: SharedStore, incarnation: str) -> None:
        self.store = store
        self.incarnation = incarnation
        self.made = 0
        self.told: list[tuple[bytes, Any]] = []
        self.requests = Tally()
        self.parked, self.places = Parked(), Places(store.limits.max_timers)
        self.shards = Shards((), len(store.stores), self.parked, self._make_id)
        self.peers = FakePeers(store, incarnation)
        self.forwards = Forwards(self.shards, self.peers.send)
        aside = Aside()
        self.queue_rules = rules = QueueRules(self.shards, aside if store.are_joined else None)
        self.queues = queues = QueueMethods(self.shards, rules)
        methods = Methods(self.shards, store.limits, Servers(()))
        handlers = {**methods.handlers(), **queues.handlers(), **PlanMethods(self.shards, store.limits).handlers()}
        over = OverServers(self.shards, store.limits, methods, queues, aside, lambda: self._make_id(0))
        count, parts = len(store.stores), dict(store.parts)
        if store.are_joined:
            handlers.update(over.handlers(handlers))
            parts.update({**timer_parts(count), **QueueParts(count, queues, rules).by_name()})
        if store.more_handlers is not None:
            handlers.update(store.more_handlers(self))
        self.dispatcher = ForwardingDispatcher(
            CODEC,
            handlers,
            self.parked,
            store.limits,
            self.shards.new_id,
            queues.prefix_of,
            shards=self.shards,
            forwards=self.forwards,
            parts=parts,
            in_line=over.in_line() if store.are_joined else {},
            new_key=lambda: self._make_id(0),
        )
        peer_dispatcher = PeerDispatcher(CODEC, handlers, parts, self.shards, self.parked, self.dispatcher.failed)
        self.seen = Seen()
        self.traffic = PeerTraffic(
            reply=self.peers.reply,
            now_ns=lambda: store.now_ns,
            forwards=self.forwards,
            dispatcher=peer_dispatcher,
            aside=aside,
            own_dispatcher=self.dispatcher,
            news=TimelineNews(self.seen, self.peers.reply),
        )
        chores = [*(in_each_shard(kind, self.shards) for kind in (Expiry, PlanCare)), rules]
        self._chores = Schedule([*chores, in_each_shard(QueueCare, self.shards), Waking(self.parked), self.traffic])
        self._answers: list[Answer] = []
        self.in_flight: deque[Turn] = deque()

    def open(self, number: int) -> Shard:
        """A shard with what its store has, in the present epoch."""
        store = self.store.stores[number]
        header = store.open()
        queues, log = Queues(lambda: 0.5), Log(store, header)
        engine = Engine(self.store.limits, self._make_id, STANDING, queues, CIVIL_TIME, log.event, places=self.places)
        engine.restore(store.load(), header.ends, log.holder)
        shard = Shard(engine, queues, log, number, self.parked)
        shard.epoch = self.store.epochs[number]
        return shard

    def current(self) -> list[Shard]:
        """The shards that this server serves, and is still the owner of."""
        owners = self.store.owners
        return [one for one in self.shards.owned if owners.get(one.number) == (self.incarnation, one.epoch)]

    def follow(self) -> None:
        """Learns who owns what."""
        self.forwards.follow(self.store.owners, self.store.servers)

    # Requests

    def send(
        self, connection: bytes, *calls: dict[str, Any], sender: Sender = EVERYBODY, is_batch: bool = False
    ) -> None:
        """One message of a client: a request, or a batch. Calls have `method`, `params` and, unless nobody is to be
        told, `id`."""
        requests = [{"jsonrpc": "2.0", **call} for call in calls]
        body = json.dumps(requests if is_batch or len(calls) > 1 else requests[0]).encode()
        answer = self.dispatcher.handle(Message([connection, b"", body], sender), self.store.now_ns)
        if answer is not None and not answer.missing:
            self._answers.append(answer)

    def call(self, method: str, connection: bytes = b"c", request_id: int = 1, **params: Any) -> None:
        """One request."""
        self.send(connection, {"id": request_id, "method": method, "params": params})

    def take_told(self) -> list[Any]:
        """What its clients were told since the last call."""
        told, self.told = self.told, []
        return [body for _, body in told]

    # Turns

    def receive(self) -> None:
        """Takes what has come of other servers."""
        while self.peers.inbox:
            self.traffic.deliver(self.peers.inbox.popleft())
        self._answers += self.traffic.take_answers()

    def turn(self) -> None:
        """Takes what has come in, does what is due, and submits it."""
        now_ns = self.store.now_ns
        self.receive()
        self._chores.look()
        self._chores.step(now_ns, BUDGET)
        self.traffic.step(now_ns)
        self.shards.serve_takes(now_ns)
        writes = []
        for shard in self.shards.owned:
            if (part := shard.take_writes()) is not None:
                shard.log.take_off(part.changes)
                writes.append((shard, part))
        answers = self._answers + self.parked.take_ready()
        self._answers = []
        if writes or answers:
            self.in_flight.append(Turn(writes, answers))

    def settle(self) -> None:
        """Makes the oldest turn durable, and tells it. What this server does not own any more is lost first."""
        lost = {shard.number for shard in self.shards.owned} - {shard.number for shard in self.current()}
        if lost:
            self.lose(lost)
        if not self.in_flight:
            return
        turn = self.in_flight.popleft()
        for shard, part in turn.writes:
            self.store.stores[shard.number].commit(part.changes, part.anchor)
        self._tell(turn.answers)
        for shard, _ in turn.writes:
            self.parked.notify(shard.log.land().events)
        self.parked.answer_woken(self.store.now_ns, BUDGET)

    def settle_all(self) -> None:
        """Makes all turns durable that are in flight now."""
        for _ in range(len(self.in_flight) + 1):
            self.settle()

    def lose(self, numbers: set[int]) -> None:
        """Drops shards, as the loop does."""
        now_ns = self.store.now_ns
        for number in numbers:
            self.shards.remove(number)
        for turn in self.in_flight:
            kept = [(shard, part) for shard, part in turn.writes if shard.number not in numbers]
            turn.writes[:] = kept
            turn.answers[:] = self._again(turn.answers, numbers)
        self._answers = self._again(self._answers, numbers)
        ready = self._again(self.parked.take_ready(), numbers)
        self.parked.ready += ready
        self.dispatcher.wait_again(numbers, now_ns)

    def _again(self, answers: Iterable[Answer], numbers: set[int]) -> list[Answer]:
        return [answer for answer in answers if self.dispatcher.again(answer, numbers, self.store.now_ns)]

    def _tell(self, answers: Iterable[Answer]) -> None:
        self.traffic.reply([answer for answer in answers if isinstance(answer, PeerAnswer)])
        for answer in answers:
            if isinstance(answer, JsonAnswer):
                answer.count(self.requests)
                connection, *_, body = answer.frames()
                self.told.append((connection, json.loads(body)))
            elif isinstance(answer, PartAnswer):
                answer.tell()

    def _make_id(self, _: int) -> str:
        self.made += 1
        return f"made/{self.incarnation}/{self.made}"
