"""Who may do what: tokens, sessions, requests without either, and the narrowing of all methods."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.asking import Answer, ask
from gateway.visits import problem, visited
from local_server import LocalServer
from timer_client.settings import Settings
from timer_gateway.access import Access, Guard
from timer_gateway.callers import ANYBODY, Caller
from timer_gateway.hosts import Hosts
from timer_gateway.metrics import Metrics
from timer_gateway.middleware import Answering
from timer_gateway.narrowing import narrowed, narrowed_prefix, needs_queue_prefix
from timer_gateway.opening import open_access, page_link, read_again
from timer_gateway.requests import METHOD_BY_NAME, Request
from timer_gateway.session_route import PATH, session_route
from timer_gateway.sessions import RENEWED_AFTER_S, Sessions
from timer_gateway.settings import GatewaySettings
from timer_gateway.tokens import TokenFileError, Tokens, make_token
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.messages import GetParams, StartParams, Timer
from timer_protocol.methods import METHODS, Method
from timer_protocol.sender import ALL_RIGHTS
from timer_protocol.settings import SettingError

EVERYWHERE = "0.0.0.0"  # noqa: S104 - nothing is bound
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


class TestOpening:
    def test_every_reachable_gateway_has_a_token_and_shows_it_once(self, tmp_path: Path) -> None:
        settings = GatewaySettings(host=EVERYWHERE, is_plain=True, tokens=tmp_path / "tokens")
        access, token = open_access(settings, lambda: 0.0)

        assert token is not None
        caller = access.tokens.caller_of(token)
        assert caller is not None
        assert caller.rights == ALL_RIGHTS
        assert page_link(settings, 8080, token) == f"http://localhost:8080/#token={token}"
        again, none = open_access(settings, lambda: 0.0)
        assert none is None
        assert again.tokens.caller_of(token) is not None
        cookie = access.sessions.cookie(caller, None, is_secure=False).partition(";")[0]
        assert again.sessions.session_of(cookie, None, is_encrypted=False) is not None

    def test_loopback_has_none_but_with_a_key_of_its_own(self, tmp_path: Path) -> None:
        path = tmp_path / "tokens"
        access, token = open_access(GatewaySettings(tokens=path), lambda: 0.0)
        assert (access.tokens.anybody, token, path.exists()) == (ANYBODY, None, False)

        keyed = GatewaySettings(client=Settings(curve_client_secret="own.key_secret"), tokens=path)
        access, token = open_access(keyed, lambda: 0.0)
        assert access.tokens.anybody is None
        assert token is not None

    def test_file_that_cannot_be_used_or_made_opens_nothing(self, tmp_path: Path) -> None:
        for host in ("127.0.0.1", EVERYWHERE):
            (tmp_path / "tokens").write_text("half")
            with pytest.raises(TokenFileError, match="its last line has no end"):
                open_access(GatewaySettings(host=host, tokens=tmp_path / "tokens"), lambda: 0.0)
        with pytest.raises(TokenFileError, match="cannot write the tokens in"):
            open_access(GatewaySettings(host=EVERYWHERE, tokens=tmp_path / "none" / "tokens"), lambda: 0.0)

    def test_listed_host_that_is_none_opens_nothing(self, tmp_path: Path) -> None:
        for host in ("timers.example:99999", "[1]"):
            settings = GatewaySettings(host=EVERYWHERE, is_plain=True, hosts=(host,), tokens=tmp_path / "tokens")
            with pytest.raises(SettingError, match=r"TIMER_GATEWAY_HOSTS cannot be used: .* is no host, such as"):
                open_access(settings, lambda: 0.0)
        assert not (tmp_path / "tokens").exists()

    @pytest.mark.parametrize(
        ("settings", "address"),
        [
            (GatewaySettings(host="::", is_plain=True), "http://localhost:80"),
            (GatewaySettings(host="fd00::1", certificate=Path("c")), "https://[fd00::1]:80"),
            (GatewaySettings(host="10.0.0.1", certificate=Path("c"), hosts=("t.example",)), "https://t.example:80"),
            (GatewaySettings(host="10.0.0.1", certificate=Path("c"), hosts=("t.example:9",)), "https://t.example:9"),
            (GatewaySettings(host=EVERYWHERE, is_plain=True, hosts=("t.example",)), "https://t.example"),
            (GatewaySettings(host=EVERYWHERE, is_plain=True, hosts=("127.0.0.1:9",)), "http://127.0.0.1:9"),
        ],
    )
    def test_link_leads_to_where_it_is_reached(self, settings: GatewaySettings, address: str) -> None:
        assert page_link(settings, 80, "x") == f"{address}/#token=x"
        assert page_link(settings, 80) == address

    def test_sighup_logs_names_and_keeps_what_it_cannot_read(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "tokens"
        token, _ = make_token(path, ALL_RIGHTS, name="till")
        tokens = Tokens(path, is_sheltered=False)
        caplog.set_level("INFO", "timer_gateway")

        path.write_text("half")
        assert read_again(tokens) is None
        assert tokens.caller_of(token) is not None
        path.write_text("")
        assert read_again(tokens) is not None
        assert tokens.caller_of(token) is None
        lines = [(record.getMessage(), record.fields) for record in caplog.records]  # type: ignore[attr-defined]
        assert [event for event, _ in lines] == ["tokens not read", "tokens read"]
        assert lines[1][1] == {"tokens": 0, "removed": ["till"]}


SHOP = Caller("till", "shop/", ALL_RIGHTS, "0" * 64)
READER = Caller("reader", "", frozenset({"read"}), "1" * 64)
every_method = pytest.mark.parametrize("method", METHODS, ids=[method.name for method in METHODS])


def asked(method: Method, touched: str) -> Request:
    """A request that touches an id, or ids that begin so; its other params are the least that there may be."""
    least: dict[str, Any] = {
        field.encode_name: _LEAST.get(field.encode_name, 1)
        for field in msgspec.structs.fields(method.params)
        if field.required
    }
    match method.scope:
        case "id" | "plan" | "prefix":
            least[method.scope] = touched
        case "ids" | "prefix or ids":
            least["ids"] = [touched]
        case "queue":
            least["queue"] = "any"
            if method.name == "queue.put":
                least["prefix"] = touched
    return Request(method, msgspec.convert(least, method.params))


_LEAST: dict[str, Any] = {"action": "pause", "after": {}, "receipts": ["r"]}


def make_id(prefix: str) -> str:
    return f"{prefix}made"


class TestNarrowing:
    @every_method
    def test_bound_token_reaches_no_other_ids(self, method: Method) -> None:
        for touched in ("bank/1", "SHOP/1", "shop"):
            request = asked(method, touched)
            if method.scope == "none":
                assert narrowed(SHOP, request, make_id) is request
            elif method.scope == "prefix" and touched == "shop":
                assert narrowed(SHOP, request, make_id).params.prefix == "shop/"
            else:
                with pytest.raises(Refusal) as refused:
                    narrowed(SHOP, request, make_id, touched)
                assert refused.value.code == ErrorCode.NOT_PERMITTED
                assert refused.value.help == {"prefix": "shop/"}
                assert refused.value.reason.endswith("which is all that this token is good for")

    @every_method
    def test_bound_token_reaches_its_own(self, method: Method) -> None:
        request = asked(method, "shop/1")
        assert narrowed(SHOP, request, make_id, "shop/").params == request.params

    @every_method
    def test_right_that_a_token_lacks(self, method: Method) -> None:
        request = asked(method, "any")
        if method.right in ("read", None):
            assert narrowed(READER, request, make_id, "any") is request
        else:
            with pytest.raises(Refusal, match="which this token does not have") as refused:
                narrowed(READER, request, make_id, "any")
            assert refused.value.help == {"right": method.right}

    @every_method
    def test_anybody_may_do_all_that_is_declared(self, method: Method) -> None:
        request = asked(method, "any")
        assert narrowed(ANYBODY, request, make_id) is request
        assert not needs_queue_prefix(ANYBODY, request)

    def test_what_is_not_declared_is_refused(self) -> None:
        for name in ("timer.peek", "timer.get"):  # not even under the name of another
            method = Method(name, GetParams, None, "none", Timer, "")
            for caller in (ANYBODY, SHOP):
                with pytest.raises(Refusal, match="nothing is declared"):
                    narrowed(caller, Request(method, GetParams("shop/1")), make_id)

    def test_start_without_an_id_gets_one_below_the_prefix(self) -> None:
        start = Request(METHOD_BY_NAME["timer.start"], StartParams(seconds=1))

        assert narrowed(SHOP, start, make_id).params.id == "shop/made"
        assert narrowed(ANYBODY, start, make_id) is start

    def test_queue_is_judged_by_its_prefix_which_has_to_be_looked_up(self) -> None:
        take = asked(METHOD_BY_NAME["queue.take"], "")

        assert needs_queue_prefix(SHOP, take)
        for queue_prefix in ("", "s", "bank/"):
            with pytest.raises(Refusal) as refused:
                narrowed(SHOP, take, make_id, queue_prefix)
            assert "bank" not in refused.value.reason, "whose it is, is told to nobody else"
        with pytest.raises(Refusal):
            narrowed(SHOP, take, make_id)
        assert narrowed(SHOP, take, make_id, "shop/orders/") is take
        assert narrowed(SHOP, take, make_id, None) is take, "there is no such queue"

    def test_stream_gets_what_its_caller_may_read(self) -> None:
        assert [narrowed_prefix(SHOP, prefix) for prefix in ("", "sho", "shop/", "shop/1")] == [
            "shop/",
            "shop/",
            "shop/",
            "shop/1",
        ]
        assert narrowed_prefix(READER, "any") == "any"
        for caller, prefix in ((SHOP, "bank/"), (Caller("s", "", frozenset({"start"}), ""), "")):
            with pytest.raises(Refusal):
                narrowed_prefix(caller, prefix)


class TestInFrontOfAServer:
    """A token that is bound to `shop/`, beside timers and a queue of the bank's."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "tokens"

    def played(self, server: LocalServer, path: Path, token: str, *requests: dict[str, Any]) -> list[dict[str, Any]]:
        """The answers to requests of JSON-RPC, each by itself."""

        async def play(http: httpx.AsyncClient) -> list[dict[str, Any]]:
            answers = [await http.post("/rpc", json={"jsonrpc": "2.0", "id": 1, **request}) for request in requests]
            assert {answer.status_code for answer in answers} == {200}
            return [answer.json() for answer in answers]

        return visited(server.commands, play, token=token, tokens=path)

    def test_bound_token_touches_nothing_of_others(self, server: LocalServer, path: Path) -> None:
        everything, _ = make_token(path, ALL_RIGHTS)
        bound, _ = make_token(path, ALL_RIGHTS, "shop/")
        of_bank = [call("timer.start", id="bank/1", minutes=5), call("queue.put", queue="ends", prefix="bank/")]
        self.played(server, path, everything, *of_bank, call("queue.put", queue="own", prefix="shop/"))

        forbidden = [
            call("timer.get", id="bank/1"),
            call("timer.cancel", id="bank/1"),
            call("timer.start", id="bank/2", minutes=5),
            call("timer.change_many", action="cancel", ids=["bank/1"]),
            call("events.read", after={}, prefix="bank/"),
            call("queue.take", queue="ends"),
            call("queue.delete", queue="ends"),
            call("queue.put", queue="ends", prefix="shop/"),
            call("queue.put", queue="wide", prefix=""),
            call("plan.put", plan="bank/daily", every={"hours": 1}),
        ]
        for answer in self.played(server, path, bound, *forbidden):
            assert answer["error"]["code"] == ErrorCode.NOT_PERMITTED, answer
            assert answer["error"]["data"]["prefix"] == "shop/"

        own = [
            call("timer.start", minutes=5),
            call("timer.list"),
            call("events.read", after={}),
            call("queue.list"),
            call("queue.take", queue="own"),
            call("queue.take", queue="none"),
            call("timer.change_many", action="cancel", prefix=""),
        ]
        started, listed, read, queues, taken, missing, cancelled = self.played(server, path, bound, *own)
        assert started["result"]["id"].startswith("shop/")
        assert [timer["id"] for timer in listed["result"]["timers"]] == [started["result"]["id"]]
        assert {event["timer"]["id"] for event in read["result"]["events"]} == {started["result"]["id"]}
        assert [queue["queue"] for queue in queues["result"]["queues"]] == ["own"]
        assert taken["result"] == {"deliveries": []}
        assert missing["error"]["code"] == ErrorCode.QUEUE_NOT_FOUND
        assert cancelled["result"]["changed"] == 1
        (state,) = self.played(server, path, everything, call("timer.get", id="bank/1"))
        assert state["result"]["state"] == "running"

    def test_curl_is_told_the_same_and_a_notification_nothing(self, server: LocalServer, path: Path) -> None:
        everything, _ = make_token(path, ALL_RIGHTS)
        bound, _ = make_token(path, frozenset({"read", "start"}), "shop/")
        self.played(server, path, everything, call("timer.start", id="bank/1", minutes=5))

        async def play(http: httpx.AsyncClient) -> None:
            for answer in (
                await http.get("/timer?id=bank/1"),
                await http.put("/timer?id=bank/2", json={"minutes": 1}),
                await http.get("/timers?prefix=bank/"),
            ):
                assert problem(answer) == (403, "not_permitted")
                assert answer.json()["prefix"] == "shop/"
            assert (await http.get("/timers?prefix=")).json()["timers"] == []
            assert (await http.put("/timer?id=shop/1", json={"minutes": 1})).status_code == 200
            lacking = await http.delete("/timer?id=shop/1")
            assert problem(lacking) == (403, "not_permitted")
            assert lacking.json()["right"] == "change"
            told = await http.post("/rpc", json={"jsonrpc": "2.0", **call("timer.start", id="bank/2", minutes=1)})
            assert (told.status_code, told.content) == (204, b"")
            unknown = await http.post("/rpc", json={"jsonrpc": "2.0", "id": 1, **call("peer.greet")})
            assert unknown.json()["error"]["code"] == ErrorCode.METHOD_NOT_FOUND

        visited(server.commands, play, token=bound, tokens=path)
        (missing,) = self.played(server, path, everything, call("timer.get", id="bank/2"))
        assert missing["error"]["code"] == ErrorCode.TIMER_NOT_FOUND


def call(method: str, **params: Any) -> dict[str, Any]:
    return {"method": method, "params": params}
