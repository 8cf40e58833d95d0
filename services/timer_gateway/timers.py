"""The paths for curl: a timer by its id, its changes, and lists of timers.

The id is a query parameter, since ids hold `/` and `..`, which proxies normalise in a path. Query parameters and bodies
have the names of the protocol's params. `Idempotency-Key` is the `key` of a change.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from msgspec import Raw, Struct
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from timer_client.cursor import Cursor
from timer_gateway.problems import Problem
from timer_gateway.reading import KEY_HEADER, from_body, from_query
from timer_gateway.requests import METHOD_BY_NAME, Request
from timer_gateway.upstream import Upstream
from timer_protocol.messages import InfoParams
from timer_protocol.methods import Method

Handler = Callable[[HttpRequest], Awaitable[Response]]

_JSON = "application/json"
_START, _GET, _CANCEL, _WAIT, _LIST, _INFO = (
    METHOD_BY_NAME[name]
    for name in ("timer.start", "timer.get", "timer.cancel", "timer.wait", "timer.list", "server.info")
)

ONE: Final = {"GET": _GET, "PUT": _START, "DELETE": _CANCEL}
"""What each HTTP method does at /timer."""

ACTIONS: Final = {
    action: METHOD_BY_NAME[f"timer.{action}"] for action in ("pause", "resume", "extend", "restart", "cancel")
}
"""What POST /timer/ACTION does."""

NOT_REPEATABLE: Final = frozenset({"extend", "restart"})
"""Actions that change a timer again when they are repeated, so that they need an Idempotency-Key."""


class _Standing(Struct):
    """Where the logs end: the part of `ServerInfo` that is needed."""

    cursor: dict[str, int]


class Timers:
    """Handlers of these paths. Each raises `Refused`, `Away` and `Problem`."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    def routes(self) -> list[Route]:
        """Each path with what handles it."""
        return [
            Route("/timer", self.one, methods=[*ONE]),
            Route("/timer/wait", self.wait, methods=["GET"]),
            *(Route(f"/timer/{action}", self._changing(action), methods=["POST"]) for action in ACTIONS),
            Route("/timers", self.list, methods=["GET"]),
        ]

    async def one(self, http: HttpRequest) -> Response:
        """GET, PUT and DELETE of /timer?id=…"""
        if http.method in ("GET", "HEAD"):
            return await self._answer(http, from_query(_GET, http))
        return await self._answer(http, await from_body(ONE[http.method], http))

    async def wait(self, http: HttpRequest) -> Response:
        """GET /timer/wait?id=…&wait_ms=…"""
        return await self._answer(http, from_query(_WAIT, http))

    async def list(self, http: HttpRequest) -> Response:
        """GET /timers: a page of `timer.list`, and the `cursor` from before it, after which /events goes on."""
        wanted = from_query(_LIST, http)
        caller = http.scope["caller"]
        standing = await self._upstream.ask(caller, Request(_INFO, InfoParams()), _Standing)
        page = msgspec.json.decode(await self._upstream.send(caller, wanted), type=dict[str, Raw])
        cursor = Raw(msgspec.json.encode(str(Cursor(standing.cursor))))
        return Response(msgspec.json.encode({**page, "cursor": cursor}), media_type=_JSON)

    def _changing(self, action: str) -> Handler:
        """The handler of POST /timer/ACTION?id=…"""
        method = ACTIONS[action]

        async def change(http: HttpRequest) -> Response:
            request = await from_body(method, http)
            if action in NOT_REPEATABLE and request.params.key is None:
                raise _needs_key(method)
            return await self._answer(http, request)

        return change

    async def _answer(self, http: HttpRequest, request: Request) -> Response:
        return Response(bytes(await self._upstream.send(http.scope["caller"], request)), media_type=_JSON)


def _needs_key(method: Method) -> Problem:
    return Problem(
        428,
        "key_required",
        "Key required",
        f"{method.name} has another effect when it is repeated, as after a lost answer: name the change by the header"
        f" {KEY_HEADER}, and use the same one to repeat it",
    )
