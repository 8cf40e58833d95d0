"""Several servers that divide the shards of a store, without sockets: whatever one asks of another is answered at once.

A client's requests go to the servers in turn. What concerns one timer is answered by the owner of its shard; what
concerns several is a dialogue of the server that got it. Params and answers are JSON on their way to another server.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.json import decode, encode
from msgspec.structs import replace

from drivers.desk import CODEC
from drivers.sharded_desk import BUDGET, ShardedDesk
from timer_protocol.codec import Failure
from timer_protocol.errors import ErrorCode, Refusal, RpcError
from timer_protocol.messages import StartParams
from timer_protocol.sender import EVERYBODY, Sender
from timer_server.core.model import Countdown
from timer_server.core.places import Places
from timer_server.loop.chores import Expiry, PlanCare, QueueCare, Retention, Schedule, Waking, in_each_shard
from timer_server.requests.answers import Answer, JsonAnswer
from timer_server.requests.aside import Aside
from timer_server.requests.dispatch import Dispatcher
from timer_server.requests.gathering import Ask, Dialogue, Gather, Told
from timer_server.requests.methods import Handler, Methods
from timer_server.requests.over_servers import OverServers
from timer_server.requests.parked import Parked
from timer_server.requests.placement import Shards
from timer_server.requests.plans import PlanMethods
from timer_server.requests.queue_parts import QueueParts
from timer_server.requests.queue_rules import QueueRules
from timer_server.requests.queues import QueueMethods
from timer_server.requests.room import ReplyRoom
from timer_server.requests.servers import Servers
from timer_server.requests.shard import Shard
from timer_server.requests.timer_parts import timer_parts
from timer_server.requests.waits import Wait, WaitInLine

SERVERS = 3


class Server:
    """One server. `others` are asked for the shards that it does not own."""

    def __init__(self, desk: "ClusterDesk") -> None:
        self.parked, self.places = Parked(), Places(desk.limits.max_timers)
        count = len(desk.stores)
        self.shards = Shards((), count, self.parked, desk.make_id)
        self.aside = Aside()
        self.queue_rules = QueueRules(self.shards, self.aside)
        self.queue_methods = QueueMethods(self.shards, self.queue_rules)
        methods, plan_methods = Methods(self.shards, desk.limits, Servers(())), PlanMethods(self.shards, desk.limits)
        here = {**methods.handlers(), **plan_methods.handlers(), **self.queue_methods.handlers()}
        over = OverServers(self.shards, desk.limits, methods, self.queue_methods, self.aside, lambda: desk.make_id(0))
        self.over = over.handlers(here)
        self.here = here
        self.parts = {**timer_parts(count), **QueueParts(count, self.queue_methods, self.queue_rules).by_name()}
        self.part_handlers = {name: part.handler() for name, part in self.parts.items()}
        self.chores = Schedule(
            [
                *(in_each_shard(kind, self.shards) for kind in (Expiry, PlanCare)),
                self.queue_rules,
                in_each_shard(QueueCare, self.shards),
                Waking(self.parked),
            ]
        )
        self.retention = in_each_shard(Retention, self.shards)


class Running:
    """A dialogue under way."""

    def __init__(self, desk: "ClusterDesk", server: Server, dialogue: Dialogue, number: int) -> None:
        self._desk = desk
        self._server = server
        self._dialogue = dialogue
        self.line = f"dialogue~{number}"
        self.outcome: object = None
        self.is_done = False
        self._step = 0
        self._told: list[Told] = []
        self._missing = 0
        self._is_first_enough = False

    def go_on(self) -> None:
        """Has the dialogue ask what it asks next, as long as it is answered at once."""
        try:
            asked = next(self._dialogue)
            while True:
                if not self._ask([asked] if isinstance(asked, Ask) else asked):
                    return
                asked = self._dialogue.send(self._told)
        except StopIteration as end:
            self._end(end.value)
        except Refusal as refusal:
            self._end(refusal)

    def tell(self, step: int, shards: frozenset[int], value: object) -> None:
        """Takes an answer that was waited for."""
        if self.is_done or step != self._step:
            return
        self._take(shards, value)
        if not self._is_answered():
            return
        try:
            asked = self._dialogue.send(self._told)
            while self._ask([asked] if isinstance(asked, Ask) else asked):
                asked = self._dialogue.send(self._told)
        except StopIteration as end:
            self._end(end.value)
        except Refusal as refusal:
            self._end(refusal)

    def close(self) -> None:
        """Ends it without an outcome."""
        self.is_done = True
        self._dialogue.close()

    def _ask(self, asks: Sequence[Ask]) -> bool:
        """Asks, and returns whether there is an answer already."""
        self._step += 1
        self._told, self._missing = [], 0
        self._is_first_enough = any(ask.is_first_enough for ask in asks)
        for ask in asks:
            groups = self._desk.by_server(ask.shards)
            self._missing += len(groups)
            for server, numbers in groups:
                value = self._desk.ask_server(self._server, server, ask, numbers, self, self._step)
                if not isinstance(value, Wait):
                    self._take(numbers, value)
        return self._is_answered()

    def _take(self, shards: frozenset[int], value: object) -> None:
        self._told.append(Told(shards, value))
        self._missing -= 1

    def _is_answered(self) -> bool:
        return not self._missing or (self._is_first_enough and any(told.value for told in self._told))

    def _end(self, outcome: object) -> None:
        self.outcome, self.is_done = outcome, True
        self._desk.parked.wake_takes([self.line])


class ClusterDesk(ShardedDesk):
    """What a client sees of the servers. `shards` are those of all, for tests to look at."""

    servers_count = SERVERS

    def reload(self) -> None:
        """Starts all servers anew, with what is stored."""
        self.parked = Parked()
        self.servers = [Server(self) for _ in range(self.servers_count)]
        count = len(self.stores)
        for number in range(count):
            server = self.servers[number * self.servers_count // count]
            self.places, self._parked_of = server.places, server.parked
            server.shards.add(self.open(number))
        self.shards = Shards(
            (one for server in self.servers for one in server.shards.owned), count, self.parked, self.make_id
        )
        self._gateway = self.servers[0]
        self._number = 0
        self._running: list[Running] = []
        self._waiting: dict[int, tuple[Answer, Server, Running, int, frozenset[int], str, bool]] = {}
        handlers = {name: self._handler(name) for name in self.servers[0].here}
        self.dispatcher = Dispatcher(
            CODEC,
            handlers,
            self.parked,
            self.limits,
            self.shards.new_id,
            self._prefix_of,
        )

    def _prefix_of(self, queue: str) -> str | None:
        return self._gateway.queue_methods.prefix_of(queue)

    def open(self, number: int) -> Shard:
        shard = super().open(number)
        shard.parked = self._parked_of
        return shard

    def make_id(self, now_ms: int) -> str:
        """A new id."""
        return self._make_id(now_ms)

    def give(self, number: int, to: int) -> None:
        """Has another server own a shard from now on. Its log is durable."""
        for server in self.servers:
            if any(shard.number == number for shard in server.shards.owned):
                server.shards.remove(number)
        server = self.servers[to]
        self.places, self._parked_of = server.places, server.parked
        server.shards.add(self.open(number))
        self.shards = Shards(
            (one for server in self.servers for one in server.shards.owned), len(self.stores), self.parked, self.make_id
        )

    # Requests

    def send(self, *calls: tuple[str, dict[str, Any]], sender: Sender = EVERYBODY) -> Answer | None:
        """One message, to another server than the one before."""
        self._gateway = self.servers[(self.servers.index(self._gateway) + 1) % len(self.servers)]
        return super().send(*calls, sender=sender)

    def ask_server(
        self, asking: Server, server: Server, ask: Ask, numbers: frozenset[int], running: Running, step: int
    ) -> object:
        """What a server answers, a `Wait` where that is told later."""
        part = server.parts[ask.method]
        is_far = asking is not server
        params: Any = ask.params_for(numbers)
        if is_far:
            params = decode(encode(params), type=part.asked)
        shards = [shard for shard in server.shards.owned if shard.number in numbers]
        try:
            value = server.part_handlers[ask.method](shards, params, self.now_ns, ReplyRoom())
            if isinstance(value, Wait):
                answer = JsonAnswer([b"server", b""], is_batch=False)
                server.parked.park(value, answer, 1, EVERYBODY, self.now_ns)
                server.parked.hold(answer)
                self._waiting[id(answer)] = (answer, server, running, step, numbers, ask.method, is_far)
                return value
        except Refusal as refusal:
            return told_of(refusal.to_error()) if is_far else refusal
        return decode(encode(value), type=part.answered) if is_far else value

    def by_server(self, numbers: Iterable[int]) -> list[tuple[Server, frozenset[int]]]:
        """The owners of some shards, each with those."""
        wanted = set(numbers)
        found = [
            (server, frozenset(shard.number for shard in server.shards.owned if shard.number in wanted))
            for server in self.servers
        ]
        return [(server, numbers) for server, numbers in found if numbers]

    def _handler(self, name: str) -> Handler:
        def handle(params: Any, now_ns: int, room: ReplyRoom) -> object:
            server = self._gateway
            if name in server.over:
                result = server.over[name](params, now_ns, room)
                return self._run(server, result) if isinstance(result, Gather) else result
            if isinstance(params, StartParams) and params.id is None:
                params = replace(params, id=self.make_id(0))
            of = getattr(params, "id", None) or getattr(params, "plan", None)
            if of is not None:
                server = next(server for server in self.servers if server.shards.is_here(of))
            return server.here[name](params, now_ns, room)

        return handle

    def _run(self, server: Server, gather: Gather) -> object:
        running = self._begin(server, gather.dialogue)
        if running.is_done:
            if isinstance(running.outcome, Refusal):
                raise running.outcome
            return running.outcome

        def timed_out(now_ns: int, room: ReplyRoom) -> object:
            running.close()
            return gather.timed_out(now_ns, room)

        return WaitInLine(
            until_ns=gather.until_ns,
            timed_out=timed_out,
            line=running.line,
            take=lambda _, __: outcome_of(running),
        )

    def _begin(self, server: Server, dialogue: Dialogue) -> Running:
        self._number += 1
        running = Running(self, server, dialogue, self._number)
        running.go_on()
        return running

    # Time

    def turn(self) -> list[Answer]:
        answers: list[Answer] = []
        while not self._is_idle():
            self.step()
            answers += self.parked_answers()
        self.commit()
        return answers + self.parked_answers()

    def step(self) -> list[list[Countdown]]:
        """One turn of each server, and what that has stored."""
        for server in self.servers:
            server.chores.look()
            server.chores.step(self.now_ns, BUDGET)
            server.shards.serve_takes(self.now_ns)
        self.parked.expire(self.now_ns, BUDGET)
        self._pump()
        return self.store()

    def commit(self) -> None:
        self.store()
        self._pump()

    def store(self, *_: int) -> list[list[Countdown]]:
        """Stores what has happened, and wakes who has waited for it. Returns the events of each shard."""
        told: list[list[Countdown]] = []
        for shard in self.shards.owned:
            events: list[Countdown] = []
            if (writes := shard.take_writes()) is not None:
                shard.log.take_off(writes.changes)
                self.stores[shard.number].commit(writes.changes, writes.anchor)
                events = shard.log.land().events
                for parked in (self.parked, shard.parked):
                    parked.notify(events)
            told.append(events)
        return told

    def parked_answers(self) -> list[Answer]:
        self._pump()
        self.parked.answer_woken(self.now_ns, BUDGET)
        return self.parked.take_ready()

    def forget(self) -> None:
        self.commit()
        for server in self.servers:
            while (due_ns := server.retention.next_due_ns()) is not None and due_ns <= self.now_ns:
                server.retention.step(self.now_ns, BUDGET)
                self.commit()

    def _is_idle(self) -> bool:
        due_ns = self.parked.next_due_ns()
        is_waiting = due_ns is None or due_ns > self.now_ns
        return is_waiting and all(server.chores.look() > self.now_ns for server in self.servers)

    def _pump(self) -> None:
        """Has dialogues go on whose answers are there, and those that nobody waits for begin."""
        is_busy = True
        while is_busy:
            is_busy = False
            for server in self.servers:
                for dialogue in server.aside.take():
                    self._begin(server, dialogue)
                    is_busy = True
                server.shards.serve_takes(self.now_ns)
                server.parked.answer_woken(self.now_ns, BUDGET)
                for answer in server.parked.take_ready():
                    is_busy = True
                    _, _, running, step, numbers, method, is_far = self._waiting.pop(id(answer))
                    running.tell(step, numbers, self._value(server, answer, method, is_far))
        self.parked.serve_woken_takes(self.now_ns)

    def _value(self, server: Server, answer: Answer, method: str, is_far: bool) -> object:
        assert isinstance(answer, JsonAnswer)
        (reply,) = answer._replies
        if isinstance(reply, Failure):
            return told_of(reply.error)
        return decode(encode(reply.result), type=server.parts[method].answered) if is_far else reply.result


def outcome_of(running: Running) -> object:
    """What a dialogue came to; None where it is still under way. Raises `Refusal`."""
    if isinstance(running.outcome, Refusal):
        raise running.outcome
    return running.outcome if running.is_done else None


def told_of(error: RpcError) -> Refusal:
    """The refusal that an error tells of."""
    error = decode(encode(error), type=RpcError)
    members = {name: value for name, value in error.data.items() if name not in ("name", "retryable", "reason")}
    return Refusal(ErrorCode(error.code), error.data["reason"], **members)
