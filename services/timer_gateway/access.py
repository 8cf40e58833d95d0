"""The guard in front of the application: where a request may come from, and who sends it.

What a browser sends for a page of another site is refused whatever its credentials are: by `Host`, `Origin` and the
media type, as such a page can send neither ours. Then the caller is known by a token, by the page's cookie, or, on the
loopback interface alone, by nothing.
"""

from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from timer_gateway.callers import Caller
from timer_gateway.hosts import Host, Hosts, host_of, is_loopback, is_of_another_page
from timer_gateway.problems import problem
from timer_gateway.sessions import Sessions
from timer_gateway.tokens import Tokens

_LOOKED_AT: Final = frozenset(
    {b"host", b"origin", b"authorization", b"cookie", b"content-type", b"content-length", b"transfer-encoding"}
    | {b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest"}
)
"""Headers that are read here, and may be there once."""

_OF_PROXIES: Final = frozenset({b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"true-client-ip"})
_OF_PROXIES_BEGIN: Final = (b"x-forwarded-", b"cf-connecting-")
"""Headers that tell of a proxy, so that whoever asks may be anywhere."""

_WITHOUT_CHANGES: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_POLICY_VIOLATION: Final = 1008
"""The code with which a WebSocket is closed."""


class Access(NamedTuple):
    """Where requests may come from and who has a token: all that the guard judges by."""

    hosts: Hosts
    tokens: Tokens
    sessions: Sessions


class Guard:
    """Passes a request on with its `Caller` in `scope["caller"]`, or answers with a problem.

    To ask for one of `open_paths` takes no token: there the caller may be None. `probe_paths` are answered under any
    `Host` besides, as probes ask by address. So are `scraped_paths` to whoever sends a token, as no page of another
    site has one.
    """

    def __init__(
        self,
        app: ASGIApp,
        access: Access,
        open_paths: Collection[str] = (),
        probe_paths: Collection[str] = (),
        scraped_paths: Collection[str] = (),
    ) -> None:
        self._app = app
        self._access = access
        self._open_paths = frozenset(open_paths)
        self._probe_paths = frozenset(probe_paths)
        self._scraped_paths = frozenset(scraped_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers the request, or has the application do so."""
        if scope["type"] == "http":
            refused = self._refused(scope)
            await (refused or self._app)(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        else:  # there are no WebSockets here
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": "there is no WebSocket here"})

    def _refused(self, scope: Scope) -> Response | None:
        """The answer to a request that may not be made; None for one that may, whose caller is in the scope then."""
        path, scope["caller"] = scope["path"], None
        if path in self._probe_paths:
            return None
        headers, repeated, is_proxied = _read(scope["headers"])
        if repeated:
            return problem(400, "repeated_header", "Repeated header", f"{repeated} may be there only once")
        try:
            host = host_of(headers.get(b"host", b"").decode("latin-1"))
        except ValueError:
            host = Host("", None)
        is_scrape = path in self._scraped_paths and _bearer(headers.get(b"authorization", b"")) is not None
        if not is_scrape and not self._access.hosts.has(host):
            return _misdirected(headers.get(b"host", b""))
        refused = self._refused_by_origin(scope, headers, host) or _refused_by_media_type(scope["method"], headers)
        if refused is not None:
            return refused
        is_near = is_loopback(host.name) and _is_from_here(scope) and not is_proxied
        caller, is_given = self._caller(scope, headers, host, is_near=is_near)
        if caller is None and path not in self._open_paths:
            return _unauthorized(is_given=is_given, is_near=is_near)
        scope["caller"] = caller
        return None

    def _refused_by_origin(self, scope: Scope, headers: dict[bytes, bytes], host: Host) -> Response | None:
        origin = headers.get(b"origin")
        if origin is not None and not self._access.hosts.is_own_origin(origin.decode("latin-1"), host):
            detail = "pages of other origins may not ask: Origin has to be this Host, with its port"
            return problem(403, "foreign_origin", "Foreign origin", detail)
        site, mode, destination = (headers.get(b"sec-fetch-" + part, b"") for part in (b"site", b"mode", b"dest"))
        if is_of_another_page(site, mode, destination, scope["method"]):
            return problem(403, "foreign_origin", "Foreign origin", "pages of other origins may only link to the page")
        return None

    def _caller(
        self, scope: Scope, headers: dict[bytes, bytes], host: Host, *, is_near: bool
    ) -> tuple[Caller | None, bool]:
        """Who sends a request, and whether it has a token or a cookie of ours. A token goes before a cookie."""
        token = _bearer(headers.get(b"authorization", b""))
        if token is not None:
            return self._access.tokens.caller_of(token), True
        cookies = headers.get(b"cookie", b"").decode("latin-1")
        is_encrypted = scope["scheme"] == "https"
        session = self._access.sessions.session_of(cookies, host.port, is_encrypted=is_encrypted) if cookies else None
        if session is not None:
            return session.caller, True
        return (self._access.tokens.anybody if is_near else None), False


def _read(headers: Iterable[tuple[bytes, bytes]]) -> tuple[dict[bytes, bytes], str, bool]:
    """The headers that are looked at, the name of one that is there twice, and whether a proxy has passed them on."""
    found: dict[bytes, bytes] = {}
    repeated, is_proxied = "", False
    for name, value in headers:
        if name in _LOOKED_AT:
            if name in found:
                repeated = name.decode().title()
            found[name] = value
        elif name in _OF_PROXIES or name.startswith(_OF_PROXIES_BEGIN):
            is_proxied = True
    return found, repeated, is_proxied


def _is_from_here(scope: Scope) -> bool:
    """Whether a program of this machine has connected, and not by HTTP/1.0, as proxies do that say nothing else."""
    address = (scope.get("client") or ("",))[0]
    return is_loopback(f"[{address}]" if ":" in address else address) and scope["http_version"] != "1.0"


def _bearer(authorization: bytes) -> str | None:
    """The token in a header; None where there is none, as for the password of a proxy in front."""
    scheme, _, token = authorization.decode("latin-1").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _refused_by_media_type(method: str, headers: dict[bytes, bytes]) -> Response | None:
    """The answer to a change that a form of any page could have sent. To delete takes more than that, and no body."""
    if method in _WITHOUT_CHANGES:
        return None
    is_empty = headers.get(b"content-length", b"0") == b"0" and b"transfer-encoding" not in headers
    media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if media_type == b"application/json" or (method == "DELETE" and is_empty):
        return None
    detail = "changes need the header Content-Type: application/json, also without a body (curl --json '{}')"
    return problem(415, "unsupported_media_type", "Unsupported media type", detail)


def _misdirected(host: bytes) -> Response:
    shown = host[:100].decode("latin-1")
    detail = f"{shown!r} is no name of this gateway; its operator lists those there are in TIMER_GATEWAY_HOSTS"
    return problem(421, "misdirected_request", "Misdirected request", detail)


def _unauthorized(*, is_given: bool, is_near: bool) -> Response:
    if is_given:
        detail, challenge = "this gateway does not know the token, or no longer", 'Bearer error="invalid_token"'
    else:
        detail, challenge = "a token is needed: Authorization: Bearer TOKEN, or the page's cookie", "Bearer"
        detail += "" if is_near else "; none only where the gateway listens on loopback and has no tokens"
    return problem(401, "unauthorized", "Unauthorized", detail, headers={"WWW-Authenticate": challenge})
