"""A server that does as it is told: it can leave requests unanswered, refuse them, go away and come back."""

import itertools
import queue
import socket
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec
import zmq

from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.frames import split_envelope
from timer_protocol.limits import Limits
from timer_protocol.messages import LogStanding, ServerInfo, StateCounts, Timer

LIMIT_S = 10.0

LOG = "hfBTrOFTY0c"
"""The id of its one log."""

Request = dict[str, Any]
Fault = Callable[[bytes], bytes | None]
"""Takes the body of a request in place of the server; None leaves it unanswered."""


class FakeServer:
    """A ROUTER and a PUB in a thread. Each fault in `faults` is used up by one message."""

    def __init__(self) -> None:
        self.faults: deque[Fault] = deque()
        self.commands = "tcp://127.0.0.1:*"
        self.events = "tcp://127.0.0.1:*"
        self.peers: list[bytes] = []
        """The routing id of each message's sender: another one is another connection."""
        self.bodies: queue.Queue[bytes] = queue.Queue()
        self._orders: queue.Queue[Callable[[zmq.Socket[bytes]], None] | None] = queue.Queue()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "FakeServer":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> "FakeServer":
        """Binds the sockets: the first time to ports of their own, later to the same ones."""
        self._wake, woken = socket.socketpair()
        bound: queue.Queue[tuple[str, str]] = queue.Queue()
        self._thread = threading.Thread(target=self._serve, args=(woken, bound), daemon=True)
        self._thread.start()
        self.commands, self.events = bound.get(timeout=LIMIT_S)
        return self

    def stop(self) -> None:
        """Closes the sockets; what is not answered by then never is."""
        if self._thread is not None:
            self._order(None)
            self._thread.join(LIMIT_S)
            assert not self._thread.is_alive()
            self._thread = None
            self._wake.close()

    def publish(self, topic: bytes, body: object) -> None:
        """Sends a message to the subscribers."""
        frames = [topic, msgspec.json.encode(body)]
        self._order(lambda publisher: publisher.send_multipart(frames))

    def next_message(self) -> list[Request]:
        """The requests of the next message that arrives."""
        decoded = msgspec.json.decode(self.bodies.get(timeout=LIMIT_S))
        return decoded if isinstance(decoded, list) else [decoded]

    def _order(self, order: "Callable[[zmq.Socket[bytes]], None] | None") -> None:
        self._orders.put(order)
        self._wake.send(b"x")

    def _serve(self, woken: socket.socket, bound: "queue.Queue[tuple[str, str]]") -> None:
        with (
            zmq.Context() as context,
            context.socket(zmq.ROUTER) as router,
            context.socket(zmq.PUB) as publisher,
            woken,
        ):
            for opened, endpoint in ((router, self.commands), (publisher, self.events)):
                opened.linger = 0
                opened.bind(endpoint)
            bound.put((router.last_endpoint.decode(), publisher.last_endpoint.decode()))
            poller = zmq.Poller()
            poller.register(router, zmq.POLLIN)
            poller.register(woken, zmq.POLLIN)
            while True:
                ready = dict(poller.poll())
                if woken.fileno() in ready:
                    woken.recv(1)
                    order = self._orders.get()
                    if order is None:
                        return
                    order(publisher)
                if router in ready:
                    self._answer(router)

    def _answer(self, router: "zmq.Socket[bytes]") -> None:
        frames = router.recv_multipart()
        envelope, (body,) = split_envelope(frames)
        self.peers.append(frames[0])
        self.bodies.put(body)
        reply = self.faults.popleft()(body) if self.faults else answered(body)
        if reply is not None:
            router.send_multipart([*envelope, reply])


def unanswered(_: bytes) -> None:
    """A fault: no reply."""


def refusing(code: ErrorCode, **help: Any) -> Fault:
    """A fault: every request is refused."""

    def fault(body: bytes) -> bytes:
        return _replied(body, lambda request: _failure(request["id"], code, **help))

    return fault


def refusing_some(places: set[int], code: ErrorCode, **help: Any) -> Fault:
    """A fault: the requests at these places of the message are refused, the others answered."""

    def fault(body: bytes) -> bytes:
        requests = itertools.count()
        return _replied(
            body,
            lambda request: _failure(request["id"], code, **help) if next(requests) in places else _success(request),
        )

    return fault


def saying(body: bytes) -> Fault:
    """A fault: these bytes are the reply."""
    return lambda _: body


def giving(result: object) -> Fault:
    """A fault: each request has this result."""
    return lambda body: _replied(body, lambda request: {"jsonrpc": "2.0", "result": result, "id": request["id"]})


def answered(body: bytes) -> bytes:
    """The reply of a server with nothing wrong."""
    return _replied(body, _success)


def page_of(
    body: bytes, events: list[object], ends: dict[str, int], *, more: bool = False, truncated: bool = False
) -> bytes:
    """The reply to `events.read` with a page of these events."""
    page = {"events": events, "next": ends, "more": more, "truncated": truncated}
    return _replied(body, lambda request: {"jsonrpc": "2.0", "result": page, "id": request["id"]})


def timer(**changes: Any) -> Timer:
    """A timer, running for a minute unless told otherwise."""
    return Timer(
        **{
            "id": "t",
            "label": "",
            "state": "running",
            "hours": 0,
            "minutes": 1,
            "seconds": 0,
            "duration_ms": 60_000,
            "remaining_ms": 60_000,
            "started_at_ms": 1_700_000_000_000,
            "due_at_ms": 1_700_000_060_000,
            "ended_at_ms": None,
            "version": 1,
            **changes,
        }
    )


def _replied(body: bytes, answer: Callable[[Request], object]) -> bytes:
    decoded = msgspec.json.decode(body)
    if isinstance(decoded, list):
        return msgspec.json.encode([answer(request) for request in decoded])
    return msgspec.json.encode(answer(decoded))


def _success(request: Request) -> object:
    return {"jsonrpc": "2.0", "result": _result(request["method"], request["params"]), "id": request["id"]}


def _result(method: str, params: dict[str, Any]) -> object:
    if method == "server.info":
        return ServerInfo("0", "timer/1", {LOG: LogStanding(0, 0)}, {LOG: 0}, StateCounts(0, 0, 0, 0), Limits())
    if method == "events.read":
        return {"events": [], "next": {LOG: 0, **params["after"]}, "more": False, "truncated": False}
    state = "fired" if method == "timer.wait" else "running"
    return timer(id=params["id"], label=params.get("label", ""), state=state)


def _failure(request_id: object, code: ErrorCode, **help: Any) -> object:
    return {"jsonrpc": "2.0", "error": Refusal(code, f"refused: {code.name}", **help).to_error(), "id": request_id}
