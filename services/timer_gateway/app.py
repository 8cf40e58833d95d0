"""The application: its routes, and the order in which a request passes the middleware.

    SafeHeaders    security headers on every answer
    Answering      counts every answer; makes a problem of what is raised inside
    Guard          Host, Origin, media type; who calls: scope["caller"], or a problem
    Spending       requests a second of one caller
    routes

Paths that tell nothing of timers need no caller: probes, the description of the API, the
page's files, and /session, which asks for a token itself. Probes are also answered under any Host, and so are
metrics to whoever sends a token.
"""

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from timer_gateway import api_page, pages
from timer_gateway.access import Guard
from timer_gateway.health import ALIVE_PATH, PROBE_PATHS, READY_PATH, Readiness, alive
from timer_gateway.metrics import MEDIA_TYPE, METRICS_PATH
from timer_gateway.middleware import Answering, Spending
from timer_gateway.parts import Parts
from timer_gateway.problems import problem
from timer_gateway.rpc import Rpc
from timer_gateway.safe_headers import SafeHeaders
from timer_gateway.session_route import session_route
from timer_gateway.streams.route import Streams
from timer_gateway.timers import Timers


def application(parts: Parts) -> Starlette:
    """The gateway as an ASGI application."""
    open_routes = [
        Route(ALIVE_PATH, alive, methods=["GET"]),
        Route(READY_PATH, Readiness(parts).get, methods=["GET"]),
        *api_page.routes(),
        *pages.routes(),
        session_route(parts.access),
    ]
    routes = [  # compared with a path one after the other, so what is asked most stands first
        *Timers(parts.upstream).routes(),
        Route("/rpc", Rpc(parts).post, methods=["POST"]),
        Streams(parts).route(),
        Route(METRICS_PATH, _metrics_of(parts), methods=["GET"]),
        *open_routes,
    ]
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(SafeHeaders),
            Middleware(
                Answering,
                metrics=parts.metrics,
                clock=parts.clock,
                paths=frozenset(route.path for route in routes),
            ),
            Middleware(
                Guard,
                access=parts.access,
                open_paths=frozenset(route.path for route in open_routes),
                probe_paths=PROBE_PATHS,
                scraped_paths={METRICS_PATH},
            ),
            Middleware(Spending, rate=parts.rate),
        ],
        exception_handlers={HTTPException: _unrouted},
    )
    app.router.redirect_slashes = False  # it would tell a browser to go to whatever Host the request has
    return app


def _metrics_of(parts: Parts) -> Callable[[Request], Awaitable[Response]]:
    async def metrics(_request: Request) -> Response:
        return Response(parts.metrics.text(), media_type=MEDIA_TYPE)

    return metrics


async def _unrouted(request: Request, error: Exception) -> Response:
    """The answer where there is no such path, or none for this HTTP method."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        detail = f"{request.url.path} takes {allowed}, not {request.method}"
        return problem(405, "method_not_allowed", "Method not allowed", detail, headers=error.headers)
    return problem(error.status_code, "not_found", "Not found", "nothing is at this path; /api tells what there is")
