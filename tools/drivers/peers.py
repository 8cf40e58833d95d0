"""Plain ZeroMQ peers, as a stranger would write them: no code of ours between the test and the wire."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import zmq

REPLY_LIMIT_MS = 10_000
SILENCE_MS = 300


@contextmanager
def socket_to(kind: int, endpoint: str, **options: Any) -> Iterator[zmq.Socket[bytes]]:
    """A socket connected to an endpoint; it and its context are gone afterwards, whatever happened."""
    context = zmq.Context()
    socket = context.socket(kind)
    socket.linger = 0
    socket.rcvtimeo = REPLY_LIMIT_MS
    socket.sndtimeo = REPLY_LIMIT_MS
    for name, value in options.items():
        setattr(socket, name, value)
    socket.connect(endpoint)
    try:
        yield socket
    finally:
        socket.close(linger=0)
        context.term()


class Requester:
    """Calls methods over a REQ socket, one at a time."""

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self._socket = socket
        self._number = 0

    def response(self, method: str, **params: Any) -> dict[str, Any]:
        """The whole response to a call."""
        self._number += 1
        self._socket.send(json.dumps(request(method, self._number, **params)).encode())
        response: dict[str, Any] = json.loads(self._socket.recv())
        assert response["id"] == self._number
        return response

    def call(self, method: str, **params: Any) -> Any:
        """The result of a call that succeeds."""
        response = self.response(method, **params)
        assert "result" in response, response
        return response["result"]

    def log(self) -> str:
        """The id of the server's log."""
        (log_id,) = self.call("server.info")["logs"]
        return str(log_id)

    def seq(self) -> int:
        """The `seq` of the last event."""
        (seq,) = self.call("server.info")["cursor"].values()
        return int(seq)

    def events(self, after: int = 0, **params: Any) -> dict[str, Any]:
        """A page of the events of the server's log after a `seq`, and as `next` the `seq` to go on after."""
        page: dict[str, Any] = self.call("events.read", after={self.log(): after}, **params)
        (next_seq,) = page["next"].values()
        return {**page, "next": next_seq}

    def batch(self, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The responses to a batch."""
        self._socket.send(json.dumps(requests).encode())
        responses: list[dict[str, Any]] = json.loads(self._socket.recv())
        return responses

    def error(self, method: str, **params: Any) -> dict[str, Any]:
        """The error of a call that fails."""
        response = self.response(method, **params)
        assert "error" in response, response
        error: dict[str, Any] = response["error"]
        return error


@contextmanager
def requester(endpoint: str) -> Iterator[Requester]:
    """A `Requester` with a socket of its own."""
    with socket_to(zmq.REQ, endpoint) as socket:
        yield Requester(socket)


def request(method: str, request_id: int | str | None = None, **params: Any) -> dict[str, Any]:
    """A request as an object; a notification where there is no id."""
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
    if request_id is not None:
        message["id"] = request_id
    return message


def is_silent(socket: zmq.Socket[bytes]) -> bool:
    """Whether nothing comes for a while."""
    return socket.poll(SILENCE_MS) == 0
