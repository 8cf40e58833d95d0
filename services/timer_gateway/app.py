"""The application: its routes, and the order in which a request passes the middleware.

    Counting       counts and times every answer, refusals too
    SafeHeaders    puts the security headers on every answer (access)
    Guard          Host, Origin, media type; who calls: scope["caller"], or a problem (access)
    Rate           requests a second of one caller
    routes         health, metrics, /rpc, the paths for curl, /events, the API page, the page's files

`open_paths` are the exact paths of those routes that tell nothing and need no caller: health, the API page, and the
page's files. `Guard` asks for no token there; `health.PROBE_PATHS` also answer under any Host, since a probe asks by
address.
"""

from starlette.applications import Starlette

from timer_gateway.parts import Parts


def application(parts: Parts) -> Starlette:
    """The gateway as an ASGI application."""
    raise NotImplementedError
