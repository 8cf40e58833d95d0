"""Probes: whether the gateway lives, and whether a server answers it. They tell nobody more than that."""

from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from timer_gateway.parts import Parts
from timer_gateway.problems import problem

ALIVE_PATH: Final = "/healthz"
READY_PATH: Final = "/readyz"
PROBE_PATHS: Final = frozenset({ALIVE_PATH, READY_PATH})
"""They are answered under any Host, since probes ask by address."""

_FRESH_S = 1.0
"""How long an answer about the server holds: whoever probes more often costs the server nothing."""


async def alive(_request: Request) -> Response:
    """GET /healthz: it lives."""
    return JSONResponse({"status": "ok"})


class Readiness:
    """Whether a server answers the gateway."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._asked_at_s = float("-inf")
        self._is_ready = False

    async def get(self, _request: Request) -> Response:
        """GET /readyz: asks the server, unless that was done just now."""
        if self._parts.clock() - self._asked_at_s >= _FRESH_S:
            self._asked_at_s = self._parts.clock()
            self._is_ready = await self._parts.upstream.is_there()
        if self._is_ready:
            return JSONResponse({"status": "ready"})
        return problem(503, "server_away", "Server away", "the timer server does not answer")
