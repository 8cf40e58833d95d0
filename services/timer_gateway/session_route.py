"""`/session`: the page gives its token for a cookie, asks as whom it acts, and ends its session."""

from typing import Final

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from timer_gateway.access import Access
from timer_gateway.callers import Caller
from timer_gateway.hosts import host_of
from timer_gateway.limits import body_of
from timer_gateway.problems import problem
from timer_gateway.sessions import ended_cookies
from timer_protocol.sender import Right

PATH: Final = "/session"
"""One of the open paths of the guard: whoever comes here has no session yet."""

_BODY_BYTES: Final = 1024


class Login(Struct, forbid_unknown_fields=True):
    """What begins a session."""

    token: str


class Who(Struct):
    """As whom a page acts, and what that may do. `signed_in` is whether it has a session, which it can end."""

    name: str
    prefix: str
    rights: list[Right]
    signed_in: bool


_login = msgspec.json.Decoder(Login)


def session_route(access: Access) -> Route:
    """The route. It has to be behind the guard of the same access."""

    async def session(request: Request) -> Response:
        if request.method == "POST":
            return await _begin(access, request)
        return _end(request) if request.method == "DELETE" else _tell(access, request)

    return Route(PATH, session, methods=["GET", "POST", "DELETE"])


async def _begin(access: Access, request: Request) -> Response:
    body = await body_of(request, _BODY_BYTES)
    try:
        token = _login.decode(body).token
    except (msgspec.DecodeError, UnicodeDecodeError):
        return problem(400, "invalid_request", "Invalid request", 'a session begins with {"token": "…"}')
    caller = access.tokens.caller_of(token)
    if caller is None:
        detail = "this gateway does not know the token, or no longer; `timer-gateway token` makes one"
        return problem(401, "unauthorized", "Unauthorized", detail, headers={"WWW-Authenticate": "Bearer"})
    # What is in front of the gateway may speak HTTPS. A page tells by its origin.
    is_secure = request.scope["scheme"] == "https" or request.headers.get("origin", "").startswith("https:")
    answer = _who(caller, signed_in=True)
    answer.headers["set-cookie"] = access.sessions.cookie(caller, _port(request), is_secure=is_secure)
    return answer


def _tell(access: Access, request: Request) -> Response:
    caller: Caller | None = request.scope["caller"]
    if caller is None:
        detail = "a token is needed: this page has none, or it is known no longer"
        return problem(401, "unauthorized", "Unauthorized", detail, headers={"WWW-Authenticate": "Bearer"})
    is_encrypted, cookies = request.scope["scheme"] == "https", request.headers.get("cookie", "")
    session = access.sessions.session_of(cookies, _port(request), is_encrypted=is_encrypted)
    is_by_cookie = session is not None and "authorization" not in request.headers
    answer = _who(caller, signed_in=is_by_cookie)
    if session is not None and is_by_cookie and access.sessions.is_to_be_renewed(session):
        cookie = access.sessions.cookie(caller, _port(request), is_secure=session.is_secure)
        answer.headers["set-cookie"] = cookie
    return answer


def _end(request: Request) -> Response:
    answer = Response(status_code=204)
    for cookie in ended_cookies(_port(request)):
        answer.headers.append("set-cookie", cookie)
    return answer


def _who(caller: Caller, *, signed_in: bool) -> Response:
    told = Who(caller.name, caller.prefix, sorted(caller.rights), signed_in)
    return Response(msgspec.json.encode(told), media_type="application/json")


def _port(request: Request) -> int | None:
    return host_of(request.headers["host"]).port
