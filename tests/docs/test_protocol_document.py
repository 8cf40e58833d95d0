"""PROTOCOL.md says what the server does: every exchange, method, parameter, error, limit and transition in it."""

import json
import re
from collections.abc import Iterator
from typing import Any, get_args

import msgspec
import pytest
import zmq
from msgspec import NODEFAULT, UNSET, Raw

from docs.exchanges import FrozenTime, is_for_req, peer, perform, perform_events
from docs.protocol_document import Message, blocks, plain, read, section, steps, tables
from drivers.peers import Requester, is_silent, request, requester, socket_to
from fake_time import FakeTime
from local_server import LocalServer
from timer_protocol.errors import ErrorCode
from timer_protocol.limits import Limits
from timer_protocol.many import ChangedMany, StartedMany
from timer_protocol.messages import Beat, Event, EventKind, EventPage, ServerInfo, Timer, TimerPage
from timer_protocol.methods import METHODS, Method
from timer_protocol.plan_messages import Plan
from timer_protocol.settings import SERVER_VARIABLES
from timer_server.core.transitions import TRANSITIONS, Change, Refuse
from timer_server.requests.openrpc import describe
from timer_server.wire import commands, endpoints

EVERY_METHODS = {
    "parse_error",
    "invalid_request",
    "invalid_params",
    "internal_error",
    "shutting_down",
    "storage_failed",
    "not_permitted",
}
ITSELF: dict[str, Any] = {"name": "timers-1", "advertise": ("tcp://127.0.0.1:8888", "tcp://127.0.0.1:8889")}
NAMES = {code.wire_name for code in ErrorCode}
ALWAYS_IN_DATA = {"name", "retryable", "reason"}
METHOD_NAMES = [method.name for method in METHODS]


# Exchanges


@pytest.mark.parametrize(
    ("kind", "options"),
    [(zmq.DEALER, {}), (zmq.REQ, {}), (zmq.REQ, {"req_relaxed": True, "req_correlate": True})],
    ids=["dealer", "req", "correlated req"],
)
def test_the_session_is_what_the_server_says(kind: int, options: dict[str, bool]) -> None:
    time = FrozenTime()
    performed = 0
    with LocalServer(sources=time.sources(), **ITSELF) as server:
        for block in blocks("exchange"):
            if block.note == "events":
                continue
            chosen = (kind, options) if is_for_req(block) else (zmq.DEALER, {})
            with peer(server, chosen[0], **chosen[1]) as requests:
                perform(block, server, requests, time)
            performed += 1
    assert performed >= len(METHODS)


def test_a_subscriber_hears_what_the_document_says() -> None:
    (block,) = (block for block in blocks("exchange") if block.note == "events")
    time = FakeTime()
    with LocalServer(sources=time.sources()) as server:
        perform_events(block, server, time)


def test_each_method_has_an_exchange_in_its_section() -> None:
    for name in METHOD_NAMES:
        assert f'"method":"{name}"' in section(name), name


def test_exchanges_without_an_answer_are_those_of_notifications() -> None:
    for block in blocks("exchange"):
        sent = [step for step in steps(block) if isinstance(step, Message) and step.is_sent]
        answered = [step for step in steps(block) if isinstance(step, Message) and not step.is_sent]
        owed = [step for step in sent if not _is_notification(step.frames[-1])]
        assert len(owed) == len([step for step in answered if not step.by_subscriber]), f"line {block.line}"


def _is_notification(body: bytes) -> bool:
    try:
        asked = json.loads(body)
    except ValueError:
        return False
    return isinstance(asked, dict) and "id" not in asked


# Methods


@pytest.fixture(params=METHODS, ids=METHOD_NAMES)
def method(request: pytest.FixtureRequest) -> Method:
    """Each method in turn."""
    found: Method = request.param
    return found


def test_the_methods_are_all_there_in_order() -> None:
    titles = re.findall(r"^### (.+)$", read(), re.MULTILINE)
    assert titles == METHOD_NAMES


def test_parameters_have_their_types_defaults_and_bounds(method: Method) -> None:
    schema = describe()["components"]["schemas"][method.params.__name__]["properties"]
    fields = msgspec.structs.fields(method.params)
    found = tables(method.name)
    if not fields:
        assert "It has no parameters." in section(method.name)
        return
    rows = found[0]
    assert [plain(row["parameter"]) for row in rows] == [field.encode_name for field in fields]
    for row, field in zip(rows, fields, strict=True):
        of = schema[field.encode_name]
        assert plain(row["default"]) == _default(field), row
        assert row["type"].split(",")[0] == _type(of), row
        assert _numbers(row["bounds"]) == {number for number in _bounds(of) if number is not None}, row
        assert set(re.findall(r"`([a-z]+)`", row["bounds"])) == set(_choices(of)), row


def test_results_have_their_members_and_types() -> None:
    event, beat = tables("Events")[:2]
    for rows, of in (
        (tables("The timer")[0], Timer),
        (tables("server.info")[1], ServerInfo),
        (tables("plan.put")[1], Plan),
        (event, Event),
        (beat, Beat),
    ):
        _, components = msgspec.json.schema_components([of], ref_template="{name}")
        members = components[of.__name__]["properties"]
        assert [plain(row["member"]) for row in rows] == list(members)
        assert [row["type"] for row in rows] == [_type(member) for member in members.values()]
    for name, page in (
        ("timer.list", TimerPage),
        ("timer.start_many", StartedMany),
        ("timer.change_many", ChangedMany),
        ("events.read", EventPage),
    ):
        result = re.search(r"Result: (.*?) Errors:", section(name), re.DOTALL)
        assert result, name
        assert set(page.__struct_fields__) <= set(re.findall(r"`(\w+)`", result[1])), name


def test_states_and_kinds_are_named() -> None:
    row = next(row for row in tables("Events")[0] if row["member"] == "`kind`")
    assert set(re.findall(r"`(\w+)`", row["meaning"])) == set(get_args(EventKind))


def test_no_other_methods_are_named_and_each_has_its_word_on_retries() -> None:
    assert set(re.findall(r"`((?:timer|events|server|rpc|queue|plan)\.\w+)", read())) <= {
        *METHOD_NAMES,
        "server.info.protocol",
    }
    retries = " ".join(row[""] for row in tables("Time-outs and retries")[0])
    assert sorted(re.findall(r"`(\w+\.\w+)`", retries)) == sorted(METHOD_NAMES)


def test_methods_give_the_errors_they_declare(method: Method) -> None:
    errors = re.search(r"Errors: ([^.]*)\.", section(method.name))
    assert errors, method.name
    named = set(re.findall(r"`(\w+)`", errors[1])) & NAMES
    declared = {code.wire_name for code in method.errors}
    assert declared <= named
    assert named == declared


def test_every_method_can_give_the_common_errors() -> None:
    sentence = section("Methods").split(";")[0]
    assert set(re.findall(r"`(\w+)`", sentence)) == EVERY_METHODS
    common = {error["data"]["name"] for error in describe()["methods"][1]["errors"]}
    assert common - {"timer_not_found"} == EVERY_METHODS


def test_a_timer_that_is_restarted_needs_room() -> None:
    with LocalServer(limits=Limits(max_timers=1)) as server, requester(server.commands) as rpc:
        rpc.call("timer.start", id="a", minutes=1)
        rpc.call("timer.cancel", id="a")
        rpc.call("timer.start", id="b", minutes=1)
        assert rpc.error("timer.restart", id="a")["data"]["limit"] == "max_timers"
        rpc.call("timer.restart", id="b")


def test_the_keys_of_extend_and_restart_are_one_set(rpc: Requester) -> None:
    rpc.call("timer.start", id="a", minutes=1)
    rpc.call("timer.extend", id="a", seconds=1, key="k")
    rpc.call("timer.cancel", id="a")
    for again in (
        rpc.call("timer.extend", id="a", seconds=2, key="k"),
        rpc.call("timer.restart", id="a", key="k"),
    ):
        assert (again["state"], again["version"]) == ("cancelled", 3)


def test_the_rights_are_those_that_the_methods_declare() -> None:
    documented = {
        name: row["right"].strip("`")
        for row in tables("Keys")[1]
        for name in re.findall(r"`(\w+\.\w+)`", row["needed for"])
    }
    assert documented == {method.name: method.right or "none" for method in METHODS}


# Errors


def test_the_errors_are_all_there() -> None:
    rows = tables("Errors")[0]
    assert [(row["number"], row["name"], row["retryable"]) for row in rows] == [
        (str(int(code)), code.wire_name, str(code.retryable).lower()) for code in ErrorCode
    ]


REFUSED: list[tuple[str, bytes | dict[str, Any]]] = [
    ("parse_error", b"{"),
    ("invalid_request", b"[]"),
    ("method_not_found", request("no.such", 1)),
    ("invalid_params", request("timer.get", 1)),
    ("invalid_params", request("timer.start", 1)),
    ("invalid_params", request("timer.start", 1, hours=99_999)),
    ("invalid_params", request("timer.start", 1, at="2026-01-01T00:00Z")),
    ("invalid_params", request("timer.extend", 1, id="a", hours=-99)),
    ("timer_not_found", request("timer.get", 1, id="nobody")),
    ("queue_not_found", request("queue.get", 1, queue="none")),
    ("plan_not_found", request("plan.get", 1, plan="none")),
    ("id_conflict", request("timer.start", 1, id="a", seconds=1)),
    ("wrong_state", request("timer.pause", 1, id="ended")),
    ("wrong_state", request("plan.skip", 1, plan="rests")),
    ("limit_reached", request("timer.start", 1, seconds=1, payload="x" * 65_536)),
    ("limit_reached", [request("timer.get", 1, id="a")] * 1001),  # type: ignore[list-item]
]


def test_errors_carry_what_the_document_says(server: LocalServer, rpc: Requester) -> None:
    rpc.call("timer.start", id="a", minutes=1)
    rpc.call("timer.start", id="ended", minutes=1)
    rpc.call("timer.cancel", id="ended")
    rpc.call("plan.put", plan="rests", every={"hours": 1}, paused=True)
    rows = {row["name"]: row for row in tables("Errors")[0]}
    carried: dict[str, set[str]] = {}
    with socket_to(zmq.REQ, server.commands) as socket:
        for name, asked in REFUSED:
            socket.send(asked if isinstance(asked, bytes) else json.dumps(asked).encode())
            error = json.loads(socket.recv())["error"]
            assert (str(error["code"]), error["data"]["name"]) == (rows[name]["number"], name)
            assert set(error["data"]) >= ALWAYS_IN_DATA
            carried.setdefault(name, set()).update(set(error["data"]) - ALWAYS_IN_DATA)
    for name, members in carried.items():
        documented = set(re.findall(r"`(\w+)`", rows[name]["more in `data`"])) - {"max_duration_s"}
        assert members == documented, name


def test_whoever_waits_is_told_when_the_server_stops(server: LocalServer, rpc: Requester) -> None:
    rpc.call("timer.start", id="a", minutes=1)
    with socket_to(zmq.DEALER, server.commands) as socket:
        socket.send_json(request("timer.wait", 1, id="a", wait_ms=60_000))
        socket.send_json(request("timer.get", 2, id="a"))
        assert json.loads(socket.recv())["id"] == 2
        server.stop()
        assert json.loads(socket.recv())["error"]["code"] == ErrorCode.SHUTTING_DOWN


# States


def test_the_table_of_transitions_is_the_servers() -> None:
    documented = {
        (row["state"], asked): cell
        for row in tables("States and transitions")[0]
        for asked, cell in row.items()
        if asked != "state"
    }
    assert documented == {key: _cell(transition) for key, transition in TRANSITIONS.items()}


def _cell(transition: object) -> str:
    if isinstance(transition, Change):
        return f"{transition.state} {transition.kind}"
    return transition.code.wire_name if isinstance(transition, Refuse) else "unchanged"


# Limits (the table of them: test_limits_table.py)


def test_a_frame_far_beyond_the_limit_cuts_the_connection() -> None:
    own = Limits(max_message_bytes=1000)
    assert "4 × `max_message_bytes` + 65536 bytes (4259840 by default)" in section("Limits")
    assert 4 * Limits().max_message_bytes + 65_536 == 4_259_840
    with LocalServer(limits=own) as server, socket_to(zmq.DEALER, server.commands) as socket:
        socket.send(b"{".ljust(4 * 1000 + 65_536))
        assert json.loads(socket.recv())["error"]["data"]["limit"] == "max_message_bytes"
        socket.send(b"{".ljust(4 * 1000 + 65_537))
        assert is_silent(socket)
        socket.send_json(request("server.info", 1))
        assert json.loads(socket.recv())["id"] == 1


def test_addresses_and_heartbeats_are_the_servers() -> None:
    defaults = {variable.name: variable.default for variable in SERVER_VARIABLES}
    addresses = [row["default address"] for row in tables("Sockets and addresses")[0]]
    assert addresses == [f"`{defaults['TIMER_BIND']}`", f"`{defaults['TIMER_EVENTS_BIND']}`"]
    assert defaults["TIMER_BIND"] in next(blocks("js")).lines[2]
    every, timeout = commands._HEARTBEAT_MS // 1000, endpoints.HEARTBEAT_TIMEOUT_MS // 1000
    assert f"heartbeats every {every} s and gives up after {timeout} s" in section("Socket options for a client")


# Cells


def _default(field: Any) -> str:
    if field.required:
        return "required"
    value = field.default if field.default is not NODEFAULT else field.default_factory()
    if value is UNSET:
        return "null"  # which means the same
    return bytes(value).decode() if isinstance(value, Raw) else msgspec.json.encode(value).decode()


def _alternatives(schema: dict[str, Any]) -> list[dict[str, Any]]:
    alternatives: list[dict[str, Any]] = schema.get("anyOf", [schema])
    return alternatives


def _type(schema: dict[str, Any]) -> str:
    names = {_type_of_one(one) for one in _alternatives(schema)}
    if "number" in names:
        names.discard("integer")
    return " or ".join(sorted(names, key=lambda name: (name == "null", name)))


def _type_of_one(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return "string" if any(schema["enum"]) else "null"
    return str(schema.get("type", "object" if "$ref" in schema else "any JSON"))


def _bounds(schema: dict[str, Any]) -> Iterator[int | None]:
    for one in _alternatives(schema):
        for bound in ("minimum", "maximum", "minLength", "maxLength", "maxProperties", "minItems", "maxItems"):
            yield one.get(bound)
        if "items" in one:
            yield from _bounds(one["items"])


def _choices(schema: dict[str, Any]) -> list[str]:
    """What a value may be, or each element of an array."""
    alternatives = _alternatives(schema)
    enums = [one.get("enum") or one.get("items", {}).get("enum", []) for one in alternatives]
    return [choice for enum in enums for choice in enum if choice is not None]


def _numbers(cell: str) -> set[int]:
    return {int(number) for number in re.findall(r"\b\d+\b", cell.partition(" of ")[0])}
