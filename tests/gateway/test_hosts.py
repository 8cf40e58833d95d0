"""Where requests may come from: hosts, origins, and what a page of another site can send."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.asking import Answer, ask
from gateway.visits import NOWHERE, listening, said_to
from timer_gateway.access import Access, Guard
from timer_gateway.hosts import Host, Hosts, host_of
from timer_gateway.safe_headers import SafeHeaders
from timer_gateway.sessions import Sessions
from timer_gateway.tokens import Tokens

OURS = ("Host", "localhost:8080")
JSON = ("Content-Type", "application/json")


def access(path: Path, *listed: str, is_encrypted: bool = False) -> Access:
    tokens = Tokens(path / "tokens", is_sheltered=True)
    return Access(Hosts(listed, is_encrypted=is_encrypted), tokens, Sessions(b"k" * 32, tokens, lambda: 0.0))


async def _tell(request: Request) -> Response:
    caller = request.scope["caller"]
    return JSONResponse({"caller": caller and caller.name})


METHODS = ["GET", "POST", "PUT", "DELETE", "OPTIONS"]
APP = Starlette(routes=[Route(path, _tell, methods=METHODS) for path in ("/rpc", "/timer", "/", "/healthz")])


@pytest.fixture
def guarded(tmp_path: Path) -> Guard:
    return Guard(APP, access(tmp_path, "timers.example", "other.example:8443"), {"/"}, {"/healthz"})


def post(app: Guard, *headers: tuple[str, str]) -> Answer:
    return ask(app, "POST", "/rpc", headers, b"{}")


OWN_HOSTS = [
    "localhost",
    "LOCALHOST:1",
    "localhost:8080",
    "127.0.0.1",
    "127.8.9.1:8080",
    "[::1]",
    "[::1]:8080",
    "[0:0:0:0:0:0:0:1]:8080",
    "timers.example",
    "Timers.Example:99",
    "other.example:8443",
]


def test_host_is_of_this_machine_or_listed(guarded: Guard) -> None:
    answered = {host: ask(guarded, "GET", "/", [("Host", host)]).status for host in OWN_HOSTS}
    assert answered == dict.fromkeys(OWN_HOSTS, 200)


OTHER_HOSTS = [
    "",
    ":8080",
    "attacker.example",  # its name leads to 127.0.0.1 by now
    "attacker.example:8080",
    "localhost.attacker.example",
    "127.0.0.1.attacker.example",
    "attacker.example#localhost",
    "localhost@attacker.example",
    "localhost:8080@attacker.example",
    "localhost, attacker.example",
    "localhost attacker.example",
    "attacker.localhost",
    "localhost.",
    "localhost:",
    "localhost:x",
    "localhost:65536",
    "192.168.1.1",
    "0.0.0.0",  # noqa: S104 - a Host
    "0",
    "127.1",
    "0x7f000001",
    "2130706433",
    "127.0.0.01",
    "::1",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:10.0.0.1]",
    "[::1%lo]",
    "[::1].attacker.example",
    "[fe80::1]",
    "other.example",
    "other.example:8080",
    "xtimers.example",
    "timers.example.attacker.example",
    "löcalhost",
    "l\u00f6calhost:8080",
]


def test_every_other_host_is_misdirected(guarded: Guard) -> None:
    for method, path in (("GET", "/"), ("POST", "/rpc")):
        answers = {host: ask(guarded, method, path, [("Host", host), JSON]) for host in OTHER_HOSTS}
        told = {host: (answer.status, answer.problem) for host, answer in answers.items()}
        assert told == dict.fromkeys(OTHER_HOSTS, (421, "misdirected_request"))
        assert all("TIMER_GATEWAY_HOSTS" in answer.json["detail"] for answer in answers.values())


def test_probe_asks_by_address_and_learns_nothing_else(guarded: Guard) -> None:
    assert ask(guarded, "GET", "/healthz", [("Host", "10.1.2.3:8080")]).json == {"caller": None}
    assert ask(guarded, "GET", "/healthz/../rpc", [("Host", "10.1.2.3:8080")]).status == 421


def test_no_host_is_misdirected_as_well(guarded: Guard) -> None:
    assert ask(guarded, "GET", "/", [], http_version="1.0").status == 421


OWN_ORIGINS = [
    ("localhost:8080", "http://localhost:8080"),
    ("[::1]:8080", "http://[::1]:8080"),
    ("127.0.0.1", "http://127.0.0.1"),
    ("127.0.0.1:80", "http://127.0.0.1"),
    ("timers.example", "https://timers.example"),  # HTTPS is spoken in front of the gateway
    ("timers.example", "https://timers.example:443"),
    ("timers.example:8443", "https://timers.example:8443"),
]


def test_own_pages_may_ask(guarded: Guard) -> None:
    for host, origin in OWN_ORIGINS:
        assert post(guarded, ("Host", host), ("Origin", origin), JSON).status in (200, 401), origin


OTHER_ORIGINS = [
    "",
    "null",
    "http://localhost",
    "http://localhost:3000",  # the page of another program here, whose requests have our cookies
    "https://localhost",
    "http://127.0.0.1:8080",
    "http://[::1]:8080",
    "http://attacker.example",
    "http://attacker.example:8080",
    "http://localhost:8080.attacker.example",
    "http://localhost:8080@attacker.example",
    "http://localhost:8080/",
    "http://localhost:8080 http://attacker.example",
    "http://localhost:08080000",
    "file://",
    "chrome-extension://localhost:8080",
    "localhost:8080",
    "HTTP://localhost:8080 ",
]


@pytest.mark.parametrize("method", METHODS)
def test_pages_of_every_other_origin_may_not(guarded: Guard, method: str) -> None:
    answers = {origin: ask(guarded, method, "/rpc", [OURS, ("Origin", origin), JSON]) for origin in OTHER_ORIGINS}

    told = {origin: (answer.status, answer.problem) for origin, answer in answers.items()}
    assert told == dict.fromkeys(OTHER_ORIGINS, (403, "foreign_origin"))
    assert not [name for answer in answers.values() for name, _ in answer.headers if name.startswith("access-control-")]


def test_own_https_takes_no_page_that_came_without(tmp_path: Path) -> None:
    guarded = Guard(APP, access(tmp_path, "timers.example", is_encrypted=True))
    for scheme, status in (("http", 403), ("https", 401)):
        headers = [("Host", "timers.example"), ("Origin", f"{scheme}://timers.example"), JSON]
        assert ask(guarded, "POST", "/rpc", headers, scheme="https").status == status


@pytest.mark.parametrize("site", ["cross-site", "same-site", "whatever comes next"])
def test_what_another_page_embeds_is_refused_and_its_links_are_not(guarded: Guard, site: str) -> None:
    def seen(mode: str, destination: str, method: str = "GET", path: str = "/") -> int:
        sent = [("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", mode), ("Sec-Fetch-Dest", destination)]
        return ask(guarded, method, path, [OURS, *sent, JSON]).status

    assert seen("navigate", "document") == 200
    assert seen("navigate", "iframe") == 403
    assert seen("navigate", "document", "POST") == 403
    for mode, destination in (("no-cors", "image"), ("no-cors", "script"), ("cors", "empty"), ("", "")):
        assert seen(mode, destination, path="/rpc") == 403


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_own_page_and_typed_address_are_no_other_page(guarded: Guard, site: str) -> None:
    assert ask(guarded, "GET", "/rpc", [OURS, ("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", "cors")]).status == 200


@pytest.mark.parametrize(
    ("method", "media_type", "length", "status"),
    [
        ("POST", "application/json", "2", 200),
        ("POST", "Application/JSON; charset=utf-8", "2", 200),
        ("POST", None, "2", 415),
        ("POST", None, "0", 415),  # another page's form can send that
        ("POST", None, None, 415),
        ("POST", "text/plain", "2", 415),
        ("POST", "text/plain; application/json", "2", 415),
        ("POST", "text/plain, application/json", "2", 415),
        ("POST", "application/x-www-form-urlencoded", "2", 415),
        ("POST", "multipart/form-data; boundary=application/json", "2", 415),
        ("POST", "application/jsonp", "2", 415),
        ("PUT", "application/json", "2", 200),
        ("PUT", "text/plain", "2", 415),
        ("PUT", None, None, 415),
        ("DELETE", None, None, 200),
        ("DELETE", None, "0", 200),
        ("DELETE", None, "2", 415),
        ("DELETE", "application/json", "2", 200),
        ("GET", None, None, 200),
        ("GET", "text/plain", "2", 200),
    ],
)
def test_changes_are_in_json(
    guarded: Guard, method: str, media_type: str | None, length: str | None, status: int
) -> None:
    sent = {"Content-Type": media_type, "Content-Length": length}
    headers = [OURS, *((name, value) for name, value in sent.items() if value is not None)]

    answer = ask(guarded, method, "/timer", headers)
    assert answer.status == status
    assert status == 200 or answer.problem == "unsupported_media_type"
    if method == "DELETE" and status == 200:
        assert ask(guarded, method, "/timer", [OURS, ("Transfer-Encoding", "chunked")]).status == 415


@pytest.mark.parametrize(
    "header", [OURS, ("Origin", "http://localhost:8080"), JSON, ("Authorization", "Bearer x"), ("Cookie", "a=b")]
)
def test_header_that_decides_may_not_be_there_twice(guarded: Guard, header: tuple[str, str]) -> None:
    for other in (header, (header[0].lower(), "attacker.example")):
        answer = ask(guarded, "POST", "/rpc", [OURS, JSON, header, other])
        assert (answer.status, answer.problem) == (400, "repeated_header")
        assert header[0] in answer.json["detail"]


def test_every_answer_has_the_safe_headers_and_keeps_its_own(tmp_path: Path) -> None:
    app = SafeHeaders(Guard(APP, access(tmp_path), {"/"}))
    for headers in ([OURS], [("Host", "attacker.example")]):
        answer = ask(app, "GET", "/", headers)  # type: ignore[arg-type]
        (policy,) = answer.all("content-security-policy")
        assert policy.startswith("default-src 'none'; script-src 'self';")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.all("x-content-type-options") == ["nosniff"]
        assert answer.all("referrer-policy") == ["no-referrer"]
        assert answer.all("cross-origin-resource-policy") == ["same-origin"]
        assert answer.all("cache-control") == ["no-store"]

    async def cached(request: Request) -> Response:
        return Response(headers={"Cache-Control": "no-cache", "ETag": '"1"'})

    page = ask(SafeHeaders(Starlette(routes=[Route("/", cached)])), "GET", "/", [OURS])
    assert page.all("cache-control") == ["no-cache"]


@pytest.mark.parametrize("text", ["timers.example:99999", "[::1]]", "[zz]", "a b", "http://timers.example"])
def test_listed_host_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no host, such as timers"):
        Hosts([text], is_encrypted=False)


def test_spellings_of_a_host() -> None:
    assert host_of("[2001:DB8:0::1]:80") == Host("[2001:db8::1]", 80)
    assert Hosts(["[2001:db8:0:0::1]"], is_encrypted=False).has(Host("[2001:db8::1]", None))
    assert Hosts(["timers.example:443"], is_encrypted=False).has(Host("timers.example", None))


WIRE = [
    (["GET /healthz HTTP/1.1", "Host: 10.0.0.1"], 200),
    (["GET /session HTTP/1.1", "Host: localhost"], 200),
    (["GET /session HTTP/1.1", "Host: localhost", "Forwarded: for=10.0.0.1"], 401),
    (["GET /metrics HTTP/1.1", "Host: localhost", "X-Forwarded-For: 10.0.0.1"], 401),
    (["GET /metrics HTTP/1.0", "Host: localhost"], 401),
    (["GET /session HTTP/1.1"], 400),
    (["GET /session HTTP/1.0"], 421),
    (["GET /session HTTP/1.1", "Host: localhost", "Host: attacker.example"], 400),
    (["GET /session HTTP/1.1", "Host: localhost", "Host: localhost"], 400),
    (["GET /session HTTP/1.1", "Host : localhost"], 400),
    (["GET /session HTTP/1.1", "Host: attacker.example\r\n localhost"], 421),
    (["GET /session HTTP/1.1", "Host: localhost", "Origin: http://localhost", "Origin: http://localhost:1"], 400),
    (["GET http://localhost/session HTTP/1.1", "Host: attacker.example"], 421),
    (["GET http://attacker.example/session HTTP/1.1", "Host: localhost"], 404),
    (["GET http://[/session HTTP/1.1", "Host: localhost"], 404),
    (["GET //localhost/session HTTP/1.1", "Host: localhost"], 404),
    (["GET /%2e%2e/session HTTP/1.1", "Host: localhost", "X-Forwarded-For: 10.0.0.1"], 401),
    (["GET /healthz/../metrics HTTP/1.1", "Host: 10.0.0.1"], 421),
    (["GET /metrics HTTP/1.1", "Host: 10.0.0.1"], 421),
    (["GET /metrics HTTP/1.1", "Host: 10.0.0.1", "Authorization: Bearer x"], 401),
    (["GET /session HTTP/1.1", "Host: 10.0.0.1", "Authorization: Bearer x"], 421),
    (["OPTIONS * HTTP/1.1", "Host: localhost"], 404),
    (["OPTIONS /rpc HTTP/1.1", "Host: localhost", "Origin: http://localhost:3000"], 403),
    (["GET /rpc HTTP/1.1", "Host: localhost", "Connection: Upgrade", "Upgrade: websocket"], 405),
    (["GET /session HTTP/1.1", "Host: localhost", f"Cookie: {'a' * 1_000_000}"], 400),
    (["GET /session HTTP/1.1", "Host: localhost", *(f"X-{number}: {'a' * 100}" for number in range(10_000))], 400),
]
"""What only bytes can say, and what the gateway answers."""


def test_requests_as_bytes() -> None:
    async def meet() -> list[int]:
        async with listening(NOWHERE) as connect:
            heads = ["\r\n".join([*lines, "Connection: close", "", ""]).encode() for lines, _ in WIRE]
            return await asyncio.gather(*[status(said_to(await connect(), head)) for head in heads])

    async def status(answering: Awaitable[bytes]) -> int:
        try:
            return int((await answering).split(b" ", 2)[1])
        except ConnectionResetError:  # it is cut while the peer goes on sending
            return 400

    assert list(zip(WIRE, asyncio.run(meet()), strict=True)) == [(case, case[1]) for case in WIRE]
