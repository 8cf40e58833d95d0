"""HTTP connections: uvicorn's, limited in number and in the time that a head takes; broken requests get problems."""

import asyncio
from typing import Any, Final

import h11
from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable
from uvicorn.protocols.http.h11_impl import H11Protocol

from timer_gateway.limits import SENDING_LIMIT_S
from timer_gateway.problems import MEDIA_TYPE, problem

ABORT: Final = "abort"
"""The member of a request's scope that closes its connection at once, whatever is still to be sent over it."""

_NOTHING_SENT = (h11.IDLE, h11.SEND_RESPONSE)
"""The states in which an answer can still begin."""


class Connection(H11Protocol):
    """A connection that is closed where the head of a request does not arrive in time."""

    _head_limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        """Begins to wait for the first head, unless there are connections enough."""
        super().connection_made(transport)
        if self.limit_concurrency is not None and len(self.connections) >= self.limit_concurrency:
            # With as many uvicorn would refuse everybody's requests.
            self.connections.discard(self)
            transport.abort()
            return
        self.app = _with_abort(self.app, transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Takes what a peer has sent. Between requests uvicorn's own limit for idle connections holds."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
        elif self._head_limit is None:
            self._expect_head()

    def send_400_response(self, msg: str) -> None:
        """Answers what is not HTTP, or closes the connection where an answer has begun."""
        if self.conn.our_state in _NOTHING_SENT:
            self._send_problem(msg)
        self.transport.close()

    def _send_problem(self, detail: str) -> None:
        answer: Any = problem(400, "not_http", "Not HTTP", detail)
        headers: Final = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(answer.body)).encode()),
            (b"connection", b"close"),
        ]
        for event in (h11.Response(status_code=400, headers=headers), h11.Data(data=answer.body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")

    def _expect_head(self) -> None:
        self._head_limit = self.loop.call_later(SENDING_LIMIT_S, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._head_limit is not None:
            self._head_limit.cancel()
            self._head_limit = None


def _with_abort(app: ASGI3Application, transport: asyncio.Transport) -> ASGI3Application:
    """The application with what closes the connection at once in the scope of its requests."""

    async def abortable(scope: Any, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        scope[ABORT] = transport.abort
        await app(scope, receive, send)

    return abortable
