"""Middleware around all routes: counts answers, makes problems of what is raised, and holds callers to their rate."""

from collections.abc import Callable
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from timer_gateway.limits import Rate
from timer_gateway.logs import log
from timer_gateway.metrics import OTHER, Metrics
from timer_gateway.problems import Problem, away, problem, problem_of
from timer_gateway.requests import Away, Refused
from timer_protocol.log_lines import fields

_INTERNAL = 500


class Answering:
    """Answers with a problem where what is inside raises instead of answering, and counts every answer."""

    def __init__(self, app: ASGIApp, metrics: Metrics, clock: Callable[[], float], paths: frozenset[str]) -> None:
        self._app: Final = app
        self._metrics = metrics
        self._clock = clock
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request."""
        if scope["type"] != "http":
            return
        began_s = self._clock()
        has_begun = False

        async def counted(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                route = scope["path"] if scope["path"] in self._paths else OTHER
                self._metrics.answered(route, scope["method"], message["status"], self._clock() - began_s)
            await send(message)

        try:
            await self._app(scope, receive, counted)
        except Exception as error:
            if has_begun:
                raise
            await _answer(error, scope)(scope, receive, counted)


class Spending:
    """Counts each request of a caller; those of open paths are nobody's."""

    def __init__(self, app: ASGIApp, rate: Rate) -> None:
        self._app: Final = app
        self._rate = rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request. Raises `Problem` (429)."""
        caller = scope.get("caller")
        if caller is not None:
            self._rate.spend(caller.name)
        await self._app(scope, receive, send)


def _answer(error: Exception, scope: Scope) -> Response:
    match error:
        case Problem():
            return error.response()
        case Refused():
            return problem_of(error.error)
        case Away():
            return away()
    log.exception("request failed", extra=fields(method=scope["method"], path=scope["path"]), exc_info=error)
    return problem(_INTERNAL, "internal_error", "Internal error", "the gateway has failed; its log says how")
