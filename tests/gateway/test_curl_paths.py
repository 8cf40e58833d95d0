"""The paths for curl, and their description."""

import re
from pathlib import Path
from typing import Any

import httpx
import msgspec
from jsonschema import Draft202012Validator
from starlette.routing import Route

import timer_gateway
from gateway.visits import NOWHERE, problem, visited
from local_server import LocalServer
from timer_gateway import pages
from timer_gateway.api_document import describe
from timer_gateway.api_page import page
from timer_gateway.problems import MEANINGS, STATUS
from timer_protocol.errors import ErrorCode

ORDER = "order/../42"
"""An id that a proxy would change if it stood in a path."""

KEY = "Idempotency-Key"


async def put(http: httpx.AsyncClient, timer_id: str, **members: Any) -> httpx.Response:
    return await http.put("/timer", params={"id": timer_id}, json=members)


async def change(http: httpx.AsyncClient, action: str, timer_id: str, key: str = "", **members: Any) -> httpx.Response:
    return await http.post(f"/timer/{action}", params={"id": timer_id}, json=members, headers={KEY: key} if key else {})


def test_the_life_of_a_timer(server: LocalServer) -> None:
    async def live(http: httpx.AsyncClient) -> None:
        started = await put(http, ORDER, minutes=5, label="<b>", payload={"a": 1})
        assert started.status_code == 200
        assert started.headers["cache-control"] == "no-store"
        assert {**started.json(), "id": ORDER, "state": "running", "payload": {"a": 1}} == started.json()
        assert (await put(http, ORDER, minutes=5, label="<b>", payload={"a": 1})).json()["version"] == 1
        assert (await http.get("/timer", params={"id": ORDER})).json()["label"] == "<b>"
        assert (await change(http, "pause", ORDER)).json()["state"] == "paused"
        assert (await change(http, "resume", ORDER)).json()["state"] == "running"
        lengths = [(await change(http, "extend", ORDER, key, minutes=5)).json()["duration_ms"] for key in "aab"]
        assert lengths == [600_000, 600_000, 900_000]
        assert (await change(http, "extend", ORDER, '"b"', minutes=5)).json()["duration_ms"] == 900_000  # quoted: same
        assert (await change(http, "restart", ORDER, "c")).json()["duration_ms"] == 300_000
        ended = await http.delete("/timer", params={"id": ORDER})
        assert ended.json()["state"] == "cancelled"
        assert (await http.get("/timer/wait", params={"id": ORDER, "wait_ms": 1000})).json() == ended.json()

    visited(server.commands, live)


PARENT, STATE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", ("congo=t61r", "rojo=1")
TRACED: dict[str, tuple[list[tuple[str, str]], dict[str, Any], Any]] = {
    "both": (
        [("traceparent", PARENT), *(("tracestate", state) for state in STATE)],
        {},
        {"traceparent": PARENT, "tracestate": ",".join(STATE)},
    ),
    "bad-state": ([("traceparent", PARENT), ("tracestate", "a")], {}, {"traceparent": PARENT}),
    "bad-parent": ([("traceparent", PARENT[:-1]), ("tracestate", STATE[0])], {}, None),
    "two-parents": ([("traceparent", PARENT)] * 2, {}, None),
    "body-first": (
        [("traceparent", PARENT)],
        {"trace": {"traceparent": PARENT[:-1] + "0"}},
        {"traceparent": PARENT[:-1] + "0"},
    ),
}
"""What a start has in headers and in its body, and the trace that it is known by."""


def test_headers_tell_the_trace_of_a_start(server: LocalServer) -> None:
    async def trace(http: httpx.AsyncClient) -> None:
        async def call(method: str, **params: Any) -> Any:
            asked = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            return (await http.post("/rpc", json=asked)).json()["result"]

        await call("queue.put", queue="q", prefix="", states=["cancelled"])
        for timer_id, (headers, members, _) in TRACED.items():
            answer = await http.put(f"/timer?id={timer_id}", json={"minutes": 5, **members}, headers=headers)
            assert answer.status_code == 200, answer.text
            await http.delete(f"/timer?id={timer_id}")
        taken = (await call("queue.take", queue="q", max=10))["deliveries"]
        assert [one.get("trace") for one in taken] == [expected for _, _, expected in TRACED.values()]

    visited(server.commands, trace)


def test_a_list_has_the_cursor_from_before_it(server: LocalServer) -> None:
    async def listed(http: httpx.AsyncClient) -> None:
        await put(http, "a", minutes=5, payload=1)
        first = (await http.get("/timers")).json()
        for timer_id in ("b", "c"):
            await put(http, timer_id, minutes=5)
        await change(http, "pause", "b")
        page = (await http.get("/timers?states=running,paused&limit=2&omit=payload")).json()
        assert [timer["id"] for timer in page["timers"]] == ["a", "b"]
        assert page["next"] == "b"
        assert "payload" not in page["timers"][0]
        assert [re.fullmatch(r"[\w-]{11}:(\d+)", each["cursor"])[1] for each in (first, page)] == ["1", "4"]  # type: ignore[index]
        due = (await http.get(f"/timers?order=due&due_before_ms={2**50}")).json()
        assert [timer["id"] for timer in due["timers"]] == ["a", "c"]

    visited(server.commands, listed)


PROBLEMS: list[tuple[str, str, dict[str, Any], tuple[int, str]]] = [
    ("GET", "/timer?id=none", {}, (404, "timer_not_found")),
    ("GET", "/timer", {}, (400, "invalid_params")),
    ("GET", "/timer?id=a&id=b", {}, (400, "invalid_params")),
    ("GET", "/timer?id=a&x=1", {}, (400, "invalid_params")),
    ("GET", "/timers?limit=many", {}, (400, "invalid_params")),
    ("GET", "/timers?limit=5000", {}, (400, "invalid_params")),
    ("PUT", "/timer?id=there", {"json": {"minutes": 1}}, (409, "id_conflict")),
    ("PUT", "/timer?id=new", {"json": {"minutes": 1, "id": "other"}}, (400, "invalid_params")),
    ("PUT", "/timer?id=new", {"json": {"minutes": "five"}}, (400, "invalid_params")),
    ("PUT", "/timer?id=new", {"json": [1]}, (400, "invalid_params")),
    ("PUT", "/timer?id=new", {"content": b'{"payload": "\xff", "minutes": 1}'}, (400, "invalid_params")),
    ("PUT", "/timer?id=new", {"json": {"minutes": 1, "payload": "x" * 70_000}}, (422, "limit_reached")),
    ("PUT", "/timer?id=not+allowed", {"json": {"minutes": 1}}, (400, "invalid_params")),
    ("PUT", "/timer", {"json": {"minutes": 1}}, (400, "invalid_params")),
    ("PUT", "/timer?id=new&minutes=1", {"json": {}}, (400, "invalid_params")),
    ("POST", "/timer/extend?id=there", {"json": {"minutes": 1}}, (428, "key_required")),
    ("POST", "/timer/restart?id=there", {"json": {}}, (428, "key_required")),
    ("POST", "/timer/pause?id=there", {"json": {"key": "a"}, "headers": {KEY: "b"}}, (400, "invalid_params")),
    ("POST", "/timer/pause?id=there", {"json": {}, "headers": {KEY: "k" * 200}}, (400, "invalid_params")),
    ("POST", "/timer/pause?id=gone", {"json": {}}, (409, "wrong_state")),
    ("POST", "/timer?id=there", {"json": {}}, (405, "method_not_allowed")),
    ("GET", "/rpc", {}, (405, "method_not_allowed")),
    ("GET", "/nothing", {}, (404, "not_found")),
    ("GET", "/timers/", {}, (404, "not_found")),
]


def test_problems(server: LocalServer) -> None:
    async def meet(http: httpx.AsyncClient) -> None:
        await put(http, "there", minutes=5)
        await put(http, "gone", minutes=5)
        await http.delete("/timer?id=gone")
        for method, target, body, expected in PROBLEMS:
            headers = {"Content-Type": "application/json", **body.get("headers", {})}
            answer = await http.request(method, target, **{**body, "headers": headers})
            assert problem(answer) == expected, (method, target, body)
        refused = (await http.get("/timers?limit=5000")).json()
        assert "limit" in refused["detail"]
        assert "<=" in refused["detail"]
        assert refused["retryable"] is False

    visited(server.commands, meet)


def test_what_is_answered_is_what_is_described(server: LocalServer) -> None:
    document = describe()

    def check(answer: httpx.Response, path: str, verb: str) -> None:
        told = document["paths"][path][verb]["responses"]["200"]["content"]["application/json"]["schema"]
        Draft202012Validator({**told, "components": document["components"]}).validate(answer.json())

    async def compare(http: httpx.AsyncClient) -> None:
        check(await put(http, "a", minutes=5), "/timer", "put")
        check(await http.get("/timer?id=a"), "/timer", "get")
        check(await change(http, "pause", "a"), "/timer/pause", "post")
        check(await http.get("/timers"), "/timers", "get")
        for body in ({"method": "timer.get", "params": {"id": "a"}}, {"method": "nothing"}):
            check(await http.post("/rpc", json={"jsonrpc": "2.0", "id": 1, **body}), "/rpc", "post")
        check(await http.get("/healthz"), "/healthz", "get")
        missing = await http.get("/timer?id=b")
        details = {"$ref": "#/components/schemas/ProblemDetails", "components": document["components"]}
        Draft202012Validator(details).validate(missing.json())
        assert (await http.get("/openapi.json")).content == msgspec.json.encode(document)
        assert (await http.get("/api")).text == page()
        routes = [route for route in http._transport.app.routes if isinstance(route, Route)]  # type: ignore[attr-defined]
        there_are = {(route.path, verb.lower()) for route in routes for verb in (route.methods or ()) if verb != "HEAD"}
        there_are -= {
            (route.path, "get") for route in pages.routes()
        }  # files for browsers, no part of what programs ask
        described = {(path, verb) for path, operations in document["paths"].items() for verb in operations}
        assert there_are == described

    visited(server.commands, compare)


def test_the_description_for_people_is_in_the_page_s_style_and_each_part_has_its_own_link() -> None:
    html = page()
    assert "`" not in html
    named = re.findall(r'\bid="([^"]+)"', html)
    assert len(named) == len(set(named))
    assert set(re.findall(r'href="#([^"]+)"', html)) <= set(named)
    assert {"/timer", "/timer:put", "/rpc", "timer.start", "queue.take", "queue_not_found"} <= set(named)

    async def find_styles(http: httpx.AsyncClient) -> None:
        for path in re.findall(r'(?:href|src)="(/static/[^"]+)"', html):
            assert (await http.get(path)).status_code == 200, path

    visited(NOWHERE, find_styles)


def test_the_document_holds_together() -> None:
    document = describe()
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    places = re.findall(r"'\$ref': '#/components/(\w+)/(\w+)'", str(document))
    assert places
    assert all(name in document["components"][kind] for kind, name in places)
    start = document["paths"]["/timer"]["put"]["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert "id" not in start
    assert {"hours", "payload", "at"} <= start.keys()
    needed = {
        path: [parameter["required"] for parameter in operations["post"]["parameters"] if parameter["name"] == KEY]
        for path, operations in document["paths"].items()
        if path.startswith("/timer/") and "post" in operations
    }
    assert needed == {
        "/timer/pause": [False],
        "/timer/resume": [False],
        "/timer/extend": [True],
        "/timer/restart": [True],
        "/timer/cancel": [False],
    }


def test_every_problem_is_explained_where_its_type_leads() -> None:
    sources = "".join(path.read_text() for path in Path(timer_gateway.__file__).parent.glob("*.py"))
    made = set(re.findall(r'[pP]roblem\(\s*[\w.]+,\s*"(\w+)"', sources))
    assert {"key_required", "too_large", "unauthorized"} <= made
    named = made | {code.wire_name for code in ErrorCode} | {"server_away"}
    assert named == MEANINGS.keys()
    assert set(STATUS) == set(ErrorCode)
    anchors = set(re.findall(r'<dt id="(\w+)"', page()))
    assert named <= anchors
