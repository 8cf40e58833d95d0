"""Who is let in: tokens, sessions, and requests without either."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.asking import Answer, ask
from timer_gateway.access import Access, Guard
from timer_gateway.hosts import Hosts
from timer_gateway.metrics import Metrics
from timer_gateway.middleware import Answering
from timer_gateway.session_route import PATH, session_route
from timer_gateway.sessions import RENEWED_AFTER_S, Sessions
from timer_gateway.tokens import Tokens, make_token
from timer_protocol.sender import ALL_RIGHTS

OURS = ("Host", "localhost:8080")
JSON = ("Content-Type", "application/json")
LISTED = ("Host", "timers.example")
ORIGIN = ("Origin", "https://timers.example")


async def _tell(request: HttpRequest) -> Response:
    caller = request.scope["caller"]
    return JSONResponse({"caller": caller and caller.name})


class Gateway:
    """A guard with the session's route behind it, and `/rpc`, which tells the name of its caller."""

    def __init__(self, path: Path, *, is_sheltered: bool = False, is_encrypted: bool = False) -> None:
        self.now_s = 1_000_000.0
        self.path = path / "tokens"
        self.tokens = Tokens(self.path, is_sheltered=is_sheltered)
        sessions = Sessions(b"k" * 32, self.tokens, lambda: self.now_s)
        access = Access(Hosts(["timers.example"], is_encrypted=is_encrypted), self.tokens, sessions)
        routes = [Route("/rpc", _tell, methods=["GET", "POST"]), Route("/", _tell), session_route(access)]
        routes.append(Route("/metrics", _tell))
        answering = Middleware(Answering, metrics=Metrics(), clock=lambda: self.now_s, paths=frozenset())
        app = Starlette(routes=routes, middleware=[answering])
        self.app = Guard(app, access, {"/", PATH}, scraped_paths={"/metrics"})

    def make(self, **said: Any) -> str:
        token, _ = make_token(self.path, said.pop("rights", ALL_RIGHTS), **said)
        self.tokens.reload()
        return token

    def caller(self, *headers: tuple[str, str], host: tuple[str, str] = OURS, **how: Any) -> str:
        """The name of the caller of a request, or that of the problem."""
        answer = ask(self.app, "GET", "/rpc", [host, *headers], **how)
        return str(answer.json["caller"]) if answer.status == 200 else f"{answer.status} {answer.problem}"

    def session(self, method: str, *headers: tuple[str, str], body: bytes = b"", **how: Any) -> Answer:
        return ask(self.app, method, PATH, [LISTED, JSON, *headers], body, **how)

    def cookie(self, token: str, *headers: tuple[str, str], **how: Any) -> tuple[str, str]:
        """The cookie of a new session, as the browser sends it."""
        answer = self.session("POST", *headers, body=msgspec.json.encode({"token": token}), **how)
        assert answer.status == 200, answer
        (header,) = answer.all("set-cookie")
        return "Cookie", header.partition(";")[0]


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    return Gateway(tmp_path)


@pytest.fixture
def sheltered(tmp_path: Path) -> Gateway:
    return Gateway(tmp_path, is_sheltered=True)


class TestTokens:
    def test_no_token_no_access_however_near(self, gateway: Gateway) -> None:
        for headers in ((), (("Authorization", "Basic eDp5"),), (("Cookie", "timer-session-8080=x"),)):
            answer = ask(gateway.app, "GET", "/rpc", [OURS, *headers])  # type: ignore[list-item]
            assert (answer.status, answer.problem) == (401, "unauthorized")
            assert answer.all("www-authenticate") == ["Bearer"]

    def test_token_names_its_caller(self, gateway: Gateway) -> None:
        token = gateway.make(name="till")

        for scheme in ("Bearer", "bearer", "BEARER "):
            assert gateway.caller(("Authorization", f"{scheme} {token}")) == "till"
            assert gateway.caller(("Authorization", f"{scheme} {token}"), host=LISTED) == "till"

    @pytest.mark.parametrize("wrong", ["", " ", "x", "timer_", "ÿ", "a" * 10_000, "{}x", " {} {}", "{}\t{}", '"{}"'])
    def test_wrong_token_is_refused_and_not_repeated(self, gateway: Gateway, wrong: str) -> None:
        token = gateway.make(name="till")
        sent = wrong.replace("{}", token)

        answer = ask(gateway.app, "GET", "/rpc", [OURS, ("Authorization", f"Bearer {sent}")])
        assert (answer.status, answer.all("www-authenticate")) == (401, ['Bearer error="invalid_token"'])
        assert token.encode() not in answer.body
        if len(wrong) > 10:
            assert sent.encode() not in answer.body

    def test_token_in_the_address_is_none(self, gateway: Gateway) -> None:
        token = gateway.make()

        for name in ("token", "access_token"):
            assert ask(gateway.app, "GET", f"/rpc?{name}={token}", [OURS]).status == 401

    def test_wrong_token_is_refused_even_where_none_is_needed_or_a_cookie_would_do(
        self, sheltered: Gateway, tmp_path: Path
    ) -> None:
        assert sheltered.caller() == "anybody"
        assert sheltered.caller(("Authorization", "Bearer x")) == "401 unauthorized"
        cookie = Gateway(tmp_path)
        session = cookie.cookie(cookie.make())
        assert cookie.caller(session, host=LISTED) == "token-1"
        assert cookie.caller(session, ("Authorization", "Bearer x"), host=LISTED) == "401 unauthorized"

    def test_open_path_has_a_caller_only_where_one_is_known(self, gateway: Gateway) -> None:
        token = gateway.make(name="till")

        for sent, caller in (((), None), ((("Authorization", f"Bearer {token}"),), "till")):
            assert ask(gateway.app, "GET", "/", [OURS, *sent]).json == {"caller": caller}  # type: ignore[list-item]

    def test_metrics_are_told_under_any_host_for_a_token_alone(self, gateway: Gateway, sheltered: Gateway) -> None:
        """Prometheus asks by a pod's address; a page whose name leads here has the cookie at most."""

        def scraped(app: Guard, *headers: tuple[str, str], path: str = "/metrics") -> tuple[int, bytes]:
            answer = ask(app, "GET", path, headers)
            return answer.status, answer.body if answer.status == 200 else answer.problem.encode()

        misdirected = (421, b"misdirected_request")
        token = gateway.make(name="prometheus", rights=frozenset({"read"}))
        bearer, wrong = ("Authorization", f"Bearer {token}"), ("Authorization", "Bearer x")
        cookie = gateway.cookie(token)
        for host in ("10.1.2.3:8080", "gateway:8080", "attacker.example", ""):
            foreign = ("Host", host)
            assert scraped(gateway.app, foreign, bearer) == (200, b'{"caller":"prometheus"}')
            assert scraped(gateway.app, foreign, bearer, path="/rpc") == misdirected
            assert scraped(gateway.app, foreign, bearer, path="/") == misdirected
            for sent in ((), (cookie,), (("Authorization", "Basic eDp5"),), (("Authorization", token),)):
                assert scraped(gateway.app, foreign, *sent) == misdirected
                assert scraped(sheltered.app, foreign, *sent) == misdirected
            for app in (gateway.app, sheltered.app):
                assert scraped(app, foreign, wrong, cookie) == (401, b"unauthorized")
            embedded = ("Sec-Fetch-Site", "cross-site")
            assert scraped(gateway.app, foreign, bearer, embedded) == (403, b"foreign_origin")

    def test_websocket_is_closed(self, gateway: Gateway) -> None:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(gateway.app({"type": "websocket", "path": "/", "headers": []}, None, send))  # type: ignore[arg-type]
        assert [message["type"] for message in sent] == ["websocket.close"]


class TestNobodyIsAsked:
    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8080", "[::1]:8080"])
    def test_on_the_loopback_interface_without_tokens(self, sheltered: Gateway, host: str) -> None:
        assert sheltered.caller(host=("Host", host)) == "anybody"
        assert sheltered.caller(("Cookie", "timer-session-8080=stale")) == "anybody"

    @pytest.mark.parametrize(
        "header",
        [
            "Forwarded",
            "Via",
            "X-Forwarded-For",
            "X-Forwarded-Host",
            "X-Forwarded-Proto",
            "X-Forwarded-Whatever",
            "X-Real-IP",
            "CF-Connecting-IP",
        ],
    )
    def test_but_for_what_a_proxy_has_passed_on(self, sheltered: Gateway, header: str) -> None:
        for value in ("", "127.0.0.1", "for=127.0.0.1;host=localhost"):
            assert sheltered.caller((header, value)) == "401 unauthorized"
        token = sheltered.make(name="far")
        assert sheltered.caller((header, "10.0.0.1"), ("Authorization", f"Bearer {token}")) == "far"

    def test_nor_by_a_listed_name_or_an_old_proxy(self, sheltered: Gateway) -> None:
        assert sheltered.caller(host=LISTED) == "401 unauthorized"
        assert sheltered.caller(http_version="1.0") == "401 unauthorized"
        for address in ("10.0.0.1", "fe80::1", "::ffff:127.0.0.1", ""):
            assert sheltered.caller(client=address) == "401 unauthorized"
        assert sheltered.caller(client="::1") == "anybody"

    def test_until_there_is_a_token(self, sheltered: Gateway) -> None:
        sheltered.make()

        assert sheltered.caller() == "401 unauthorized"
        sheltered.path.write_text("")
        sheltered.tokens.reload()
        assert sheltered.caller() == "401 unauthorized"


class TestSession:
    def test_begins_with_a_token_and_ends(self, gateway: Gateway) -> None:
        token = gateway.make(name="page", prefix="shop/", rights=frozenset({"read"}))
        answer = gateway.session("POST", ORIGIN, body=msgspec.json.encode({"token": token}))

        told = {"name": "page", "prefix": "shop/", "rights": ["read"], "signed_in": True}
        assert (answer.status, answer.json) == (200, told)
        (header,) = answer.all("set-cookie")
        assert header.startswith("__Host-timer-session=")
        assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/"} <= set(header.split("; "))
        assert token not in header
        cookie = ("Cookie", header.partition(";")[0])
        assert gateway.caller(cookie, host=LISTED) == "page"
        assert gateway.session("GET", cookie).json == told
        assert gateway.session("GET", cookie).all("set-cookie") == []

        ended = gateway.session("DELETE", cookie)
        assert ended.status == 204
        assert all(one.partition("=")[2].startswith(";") and "Max-Age=0" in one for one in ended.all("set-cookie"))
        assert len(ended.all("set-cookie")) == 2

    def test_is_over_at_once_with_its_token(self, gateway: Gateway) -> None:
        cookie = gateway.cookie(gateway.make(), ORIGIN)
        gateway.path.write_text("")
        gateway.tokens.reload()

        assert gateway.caller(cookie, host=LISTED) == "401 unauthorized"
        assert gateway.session("GET", cookie).status == 401

    def test_in_use_never_ends(self, gateway: Gateway) -> None:
        cookie = gateway.cookie(gateway.make(), ORIGIN)
        gateway.now_s += RENEWED_AFTER_S

        (renewed,) = gateway.session("GET", cookie).all("set-cookie")
        assert renewed.startswith("__Host-timer-session=")
        assert renewed.partition(";")[0] != cookie[1]
        assert gateway.caller(("Cookie", renewed.partition(";")[0]), host=LISTED) == "token-1"

    def test_page_of_another_port_cannot_use_it(self, gateway: Gateway) -> None:
        """Browsers send the cookie along: to them another port is the same site."""
        cookie = gateway.cookie(gateway.make())

        for headers, status in (
            ((cookie, ("Origin", "http://timers.example:3000"), JSON), 403),
            ((cookie, ("Origin", "http://timers.example:3000"), ("Content-Type", "text/plain")), 403),
            ((cookie, ("Sec-Fetch-Site", "same-site"), ("Sec-Fetch-Mode", "no-cors"), JSON), 403),
            ((cookie, ("Content-Type", "text/plain")), 415),
            ((cookie,), 415),
        ):
            assert ask(gateway.app, "POST", "/rpc", [LISTED, *headers], b"{}").status == status
        assert ask(gateway.app, "POST", "/rpc", [LISTED, cookie, ORIGIN, JSON], b"{}").status == 200

    def test_no_page_can_have_another_begin_one(self, gateway: Gateway) -> None:
        body = msgspec.json.encode({"token": gateway.make()})

        for headers in (
            [LISTED, ("Origin", "https://attacker.example"), JSON],
            [LISTED, ("Content-Type", "text/plain")],
        ):
            answer = ask(gateway.app, "POST", PATH, headers, body)
            assert answer.status in (403, 415)
            assert answer.all("set-cookie") == []

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            (b"", 400),
            (b"[]", 400),
            (b'{"token": 1}', 400),
            (b'{"token": "x", "more": 1}', 400),
            (b"\xff", 400),
            (b'{"token": "\\ud800"}', 400),
            (b'{"token": "\\u0000"}', 401),
            (b'{"token": "timer_unknown"}', 401),
            (b'{"token": "' + b"x" * 2000 + b'"}', 413),
        ],
    )
    def test_nonsense_begins_none(self, gateway: Gateway, body: bytes, status: int) -> None:
        gateway.make()
        answer = gateway.session("POST", body=body)

        assert answer.status == status
        assert answer.all("set-cookie") == []
        assert b"timer_unknown" not in answer.body

    def test_says_as_whom_a_program_or_anybody_acts(self, gateway: Gateway, tmp_path: Path) -> None:
        token = gateway.make(name="till", rights=frozenset({"start"}))
        told = gateway.session("GET", ("Authorization", f"Bearer {token}"))
        assert told.json == {"name": "till", "prefix": "", "rights": ["start"], "signed_in": False}
        assert told.all("set-cookie") == []
        assert gateway.session("GET").status == 401

        (tmp_path / "other").mkdir()
        anybody = ask(Gateway(tmp_path / "other", is_sheltered=True).app, "GET", PATH, [OURS]).json
        assert anybody == {"name": "anybody", "prefix": "", "rights": sorted(ALL_RIGHTS), "signed_in": False}

    def test_own_https_has_secure_cookies_alone(self, tmp_path: Path) -> None:
        gateway = Gateway(tmp_path, is_encrypted=True)
        name, cookie = gateway.cookie(gateway.make(), scheme="https")

        assert cookie.startswith("__Host-timer-session=")
        assert gateway.caller((name, cookie), host=LISTED, scheme="https") == "token-1"
        plain = (name, cookie.removeprefix("__Host-"))
        assert gateway.caller(plain, host=LISTED, scheme="https") == "401 unauthorized"
