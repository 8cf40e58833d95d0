"""All of the server that needs no socket: frames go in, frames come out, and the test says when a turn ends."""

import json
from collections.abc import Mapping
from typing import Any

from drivers.builders import BEGIN_NS, NS_PER_MS, Bench
from timer_protocol.codec import Codec
from timer_protocol.errors import Refusal
from timer_protocol.frames import Message
from timer_protocol.methods import METHODS
from timer_protocol.sender import EVERYBODY, Sender
from timer_server.loop.chores import PlanCare, QueueCare
from timer_server.requests.answers import Answer, JsonAnswer
from timer_server.requests.dispatch import Dispatcher
from timer_server.requests.methods import Handler, Methods
from timer_server.requests.placement import OneShard
from timer_server.requests.plain_starts import PlainStarts
from timer_server.requests.plans import PlanMethods
from timer_server.requests.queue_rules import QueueRules
from timer_server.requests.queues import QueueMethods
from timer_server.requests.servers import Servers
from timer_server.store.base import Store

ENVELOPE = [b"peer", b""]
CODEC = Codec(METHODS)
"""One for all desks: to make one takes longer than most tests have of a desk."""


class Desk(Bench):
    """An engine with everything around it. `now_ns` is the time at which requests come in."""

    def __init__(self, store: Store | None = None, **limits: int) -> None:
        self.now_ns = BEGIN_NS
        super().__init__(store, **limits)

    def reload(self) -> None:
        super().reload()
        self.engine.start_server(self.now_ns)

    def _open(self) -> None:
        super()._open()
        self.shards = OneShard(self.shard, self._new_id)
        self.servers = Servers(())
        self.methods = Methods(self.shards, self.limits, self.servers)
        self.parked = self.shard.parked
        self.queue_care = QueueCare(self.shard)
        self.queue_rules = QueueRules(self.shards)
        self.queue_methods = QueueMethods(self.shards, self.queue_rules)
        self.plan_care = PlanCare(self.shard)
        self.plan_methods = PlanMethods(self.shards, self.limits)
        self.dispatcher = self.dispatching(
            {**self.methods.handlers(), **self.queue_methods.handlers(), **self.plan_methods.handlers()}
        )

    def dispatching(self, handlers: Mapping[str, Handler]) -> Dispatcher:
        """A dispatcher with other handlers, and the rest of this desk."""
        new_id, prefix_of = self.shards.new_id, self.queue_methods.prefix_of
        plain_starts = PlainStarts(CODEC.call_type("timer.start"), self.shard, new_id)
        return Dispatcher(CODEC, handlers, self.parked, self.limits, new_id, prefix_of, plain_starts=plain_starts)

    def send(self, *frames: bytes, envelope: list[bytes] = ENVELOPE, sender: Sender = EVERYBODY) -> Answer | None:
        return self.dispatcher.handle(Message([*envelope, *frames], sender), self.now_ns)

    def call(self, method: str, sender: Sender = EVERYBODY, **params: Any) -> Any:
        """The response to one request, which is answered at once."""
        answer = self.send(request(method, **params), sender=sender)
        assert isinstance(answer, JsonAnswer)
        assert answer.missing == 0
        return body(answer)

    def result(self, method: str, **params: Any) -> Any:
        """The result of one request, which is answered at once."""
        response = self.call(method, **params)
        assert "result" in response, response
        return response["result"]

    def park(self, method: str, request_id: Any = 1, **params: Any) -> JsonAnswer:
        """One request that has to wait."""
        answer = self.send(request(method, request_id, **params))
        assert isinstance(answer, JsonAnswer)
        assert answer.missing == 1
        return answer

    def wait(self, milliseconds: int) -> list[Answer]:
        """Lets time pass and ends the turn that comes then, in the order in which the server does it."""
        self.now_ns += milliseconds * NS_PER_MS
        self.engine.expire(self.now_ns, 500)
        self.engine.expiry.expire_by_wall(self.now_ns, 500)
        self.plan_care.step(self.now_ns, 500)
        self.queue_care.step(self.now_ns, 500)
        self.parked.expire(self.now_ns, 500)
        return self.end_turn()

    def end_turn(self, most: int = 200) -> list[Answer]:
        """Stores what has happened and tells those who waited for it, as many as there is time for."""
        self.shards.serve_takes(self.now_ns)
        self.parked.notify(self.settle())
        self.parked.answer_woken(self.now_ns, most)
        return self.parked.take_ready()

    def fail_all(self, refusal: Refusal) -> list[Answer]:
        """Tells everybody who waits that nothing comes of it."""
        self.parked.fail_all(refusal)
        return self.parked.take_ready()


def request(method: str, request_id: Any = 1, **params: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}).encode()


def batch(*requests: bytes) -> bytes:
    return b"[" + b",".join(requests) + b"]"


def body(answer: Answer | None) -> Any:
    """What an answer says, once nothing of it is missing."""
    assert isinstance(answer, JsonAnswer)
    assert answer.missing == 0
    *envelope, content = answer.frames()
    assert envelope == ENVELOPE
    return json.loads(content)
