"""The self-description: valid OpenRPC, and true to the table of methods.

`openrpc-1.3.schema.json` is the structure of OpenRPC's meta-schema (npm: @open-rpc/meta-schema, Apache-2.0) without its
prose; what it says about JSON Schema itself is draft 07, which `jsonschema` brings along.
"""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft7Validator, ValidationError
from referencing.jsonschema import SchemaRegistry

from timer_protocol import __version__
from timer_protocol.errors import TITLES, ErrorCode
from timer_protocol.methods import METHODS
from timer_server.requests.openrpc import describe

SCHEMA = json.loads((Path(__file__).parent / "openrpc-1.3.schema.json").read_text())
COMMON_ERRORS = {-32700, -32600, -32602, -32603, -32005, -32006, -32007}


def validator() -> Draft7Validator:
    """Knows only what it is given: a registry that is empty but for the meta-schemas fetches nothing."""
    draft_07 = Draft7Validator.META_SCHEMA
    registry: SchemaRegistry = SchemaRegistry().with_contents([(draft_07["$id"], draft_07)])
    return Draft7Validator(SCHEMA, registry=registry)


def document() -> dict[str, Any]:
    """The document as it goes over the wire, for a test to spoil."""
    return json.loads(msgspec.json.encode(copy.deepcopy(describe())))


def method(name: str) -> dict[str, Any]:
    return next(method for method in document()["methods"] if method["name"] == name)


def test_document_is_valid_openrpc() -> None:
    validator().validate(document())


FAULTS: dict[str, Callable[[dict[str, Any]], object]] = {
    "a method without a name": lambda document: document["methods"][0].pop("name"),
    "a method without params": lambda document: document["methods"][0].pop("params"),
    "a parameter without a schema": lambda document: document["methods"][0]["params"][0].pop("schema"),
    "a schema that is no schema": lambda document: document["methods"][0]["params"][0].update(schema={"type": 7}),
    "a component that is no schema": lambda document: document["components"]["schemas"]["Timer"].update(required=1),
    "an error with a text for a code": lambda document: document["methods"][0]["errors"][0].update(code="many"),
    "an unknown member": lambda document: document.update(surprise=1),
    "no version": lambda document: document["info"].pop("version"),
}


@pytest.mark.parametrize("spoil", FAULTS.values(), ids=FAULTS.keys())
def test_fault_does_not_pass_the_schema(spoil: Callable[[dict[str, Any]], object]) -> None:
    spoiled = document()
    spoil(spoiled)

    with pytest.raises(ValidationError):
        validator().validate(spoiled)


def test_methods_are_those_of_the_table() -> None:
    assert [method["name"] for method in document()["methods"]] == [method.name for method in METHODS]
    assert {method.name for method in METHODS} == {
        "timer.start",
        "timer.get",
        "timer.list",
        "timer.pause",
        "timer.resume",
        "timer.cancel",
        "timer.extend",
        "timer.restart",
        "timer.start_many",
        "timer.change_many",
        "timer.wait",
        "events.read",
        "server.info",
        "rpc.discover",
        "queue.put",
        "queue.delete",
        "queue.get",
        "queue.list",
        "queue.take",
        "queue.ack",
        "queue.nack",
        "queue.renew",
        "queue.dead",
        "queue.revive",
        "queue.drop",
        "plan.put",
        "plan.delete",
        "plan.get",
        "plan.list",
        "plan.preview",
        "plan.pause",
        "plan.resume",
        "plan.skip",
        "plan.run",
    }


def test_parameters_are_in_the_order_of_positional_ones() -> None:
    assert [param["name"] for param in method("timer.start")["params"]] == [
        "id",
        "hours",
        "minutes",
        "seconds",
        "label",
        "payload",
        "at",
        "zone",
        "past",
        "trace",
    ]


@pytest.mark.parametrize(
    ("name", "required"),
    [("timer.start", []), ("timer.wait", ["id", "wait_ms"]), ("timer.extend", ["id"]), ("events.read", ["after"])],
)
def test_required_parameters_are_marked(name: str, required: list[str]) -> None:
    assert [param["name"] for param in method(name)["params"] if param["required"]] == required


def test_every_reference_leads_somewhere() -> None:
    components = document()["components"]["schemas"]
    references: list[str] = []

    def collect(part: Any) -> None:
        if isinstance(part, dict):
            references.extend(value for key, value in part.items() if key == "$ref")
            for value in part.values():
                collect(value)
        elif isinstance(part, list):
            for value in part:
                collect(value)

    collect(document())

    assert references
    assert {reference.removeprefix("#/components/schemas/") for reference in references} <= components.keys()


def test_events_are_described_too() -> None:
    assert set(document()["components"]["schemas"]["Event"]["properties"]) == {
        "log",
        "seq",
        "kind",
        "at_ms",
        "timer",
        "cause",
    }


def test_every_method_tells_its_errors_once() -> None:
    for described, listed in zip(document()["methods"], METHODS, strict=True):
        codes = [error["code"] for error in described["errors"]]
        assert len(codes) == len(set(codes)), listed.name
        assert set(codes) == COMMON_ERRORS | {int(code) for code in listed.errors}, listed.name


def test_errors_carry_number_text_name_and_whether_to_retry() -> None:
    for described in document()["methods"]:
        for error in described["errors"]:
            code = ErrorCode(error["code"])
            assert error == {
                "code": int(code),
                "message": TITLES[code],
                "data": {"name": code.wire_name, "retryable": code.retryable},
            }


def test_version_is_that_of_the_package() -> None:
    assert document()["info"]["version"] == __version__
