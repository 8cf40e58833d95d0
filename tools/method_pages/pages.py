"""The pages, made from the OpenRPC document that `rpc.discover` gives, the table of methods and PROTOCOL.md."""

import inspect
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from method_pages.layout import laid_out
from method_pages.protocol_text import example, meanings
from method_pages.schemas import bounds_of, name_of, told, type_of
from timer_protocol.methods import METHODS
from timer_server.requests.openrpc import describe

FOLDER = "docs/methods"
_DOCUMENT = "docs/openrpc.json"
_PROTOCOL = "../../services/timer_protocol/PROTOCOL.md"
_MADE = "<!-- Made by `make docs`; do not change it here. -->\n"

_NAMESPACES = {
    "timer": "Start timers, look at them, and change them.",
    "queue": "Share the ends of timers among workers. An end is leased to one of them until it is acknowledged.",
    "plan": "Rules that start timers: every so often, by the calendar, or in steps.",
    "events": "Read what has happened, without a gap.",
    "server": "Ask the server about itself.",
    "rpc": "Ask which methods there are.",
}
_INTRODUCTION = """\
# Methods

JSON-RPC 2.0, over ZeroMQ and, as `POST /rpc` of [the gateway](../gateway.md), over HTTP.
[The protocol]({protocol}) says how messages travel, what is promised, and
what happens when a request is repeated. [`openrpc.json`](../openrpc.json) is the same as these pages for programs, as a
server tells it itself (`rpc.discover`). Results are made of [these types](types.md).

A key needs the [right](../security.md) that a method names. Every method can give these errors
([what they mean]({protocol}#8-errors)):
{errors}.
"""

_RIGHT_OF = {method.name: method.right for method in METHODS}


def pages() -> dict[str, str]:
    """The text of each file by its path in the repository."""
    document = json.loads(msgspec.json.encode(describe()))
    of_namespace = {
        namespace: [method for method in document["methods"] if method["name"].startswith(f"{namespace}.")]
        for namespace in _NAMESPACES
    }
    everywhere = _everywhere(document["methods"])
    made = {
        f"{FOLDER}/{namespace}.md": _page(namespace, methods, everywhere) for namespace, methods in of_namespace.items()
    }
    made[f"{FOLDER}/README.md"] = _index(of_namespace, everywhere)
    made[f"{FOLDER}/types.md"] = _types(document)
    made[_DOCUMENT] = f"{laid_out(document)}\n"
    return made


def _everywhere(methods: list[dict[str, Any]]) -> list[str]:
    """The errors that each method can give."""
    names = [[error["data"]["name"] for error in method["errors"]] for method in methods]
    return [name for name in names[0] if all(name in others for others in names)]


def _index(of_namespace: Mapping[str, list[dict[str, Any]]], everywhere: list[str]) -> str:
    lines = [_MADE, _INTRODUCTION.format(errors=_listed(everywhere), protocol=_PROTOCOL)]
    for namespace, methods in of_namespace.items():
        lines += [f"## {namespace}\n", f"{_NAMESPACES[namespace]}\n", "| method | right | |", "|---|---|---|"]
        lines += [
            f"| [`{method['name']}`]({namespace}.md#{_anchor(method['name'])}) | {_right(method['name'])}"
            f" | {method['summary']} |"
            for method in methods
        ]
        lines.append("")
    return "\n".join(lines)


def _page(namespace: str, methods: list[dict[str, Any]], everywhere: list[str]) -> str:
    lines = [_MADE, f"# {namespace}\n", f"{_NAMESPACES[namespace]} [All methods](README.md).\n"]
    if len(methods) > 1:
        lines += [f"- [`{method['name']}`](#{_anchor(method['name'])}): {method['summary']}" for method in methods]
        lines.append("")
    for method in methods:
        lines += _method(method, everywhere)
    return "\n".join(lines)


def _method(method: dict[str, Any], everywhere: list[str]) -> Iterator[str]:
    name = method["name"]
    yield f"## {name}\n"
    yield f"{method['summary']} [In the protocol]({_PROTOCOL}#{_anchor(name)}).\n"
    if method["params"]:
        meaning_of = meanings(name)
        yield "| parameter | type | default | allowed | |"
        yield "|---|---|---|---|---|"
        for param in method["params"]:
            schema = param["schema"]
            meaning = meaning_of.get(param["name"]) or told(schema)
            cells = (type_of(schema, "types.md"), _default(param), bounds_of(schema), meaning)
            yield f"| `{param['name']}` | {' | '.join(cells)} |"
        yield ""
    result = method["result"]
    given = type_of(result["schema"], "types.md") if name_of(result["schema"]) else "the document"
    errors = [error["data"]["name"] for error in method["errors"] if error["data"]["name"] not in everywhere]
    yield f"**Result**: {given}. **Errors**: {_listed(errors) or 'those of every method'}. **Right**: {_right(name)}.\n"
    yield from _shown(name)


def _shown(name: str) -> Iterator[str]:
    for body in example(name):
        try:
            kind, text = "json", laid_out(json.loads(body))
        except ValueError:  # the document leaves a part of it out
            kind, text = "text", body
        yield f"```{kind}\n{text}\n```\n"


def _types(document: dict[str, Any]) -> str:
    schemas = document["components"]["schemas"]
    lines = [_MADE, "# Types\n", "What results, and some parameters, are made of. [All methods](README.md).\n"]
    for name in _reached(document):
        schema = schemas[name]
        lines += [f"## {name}\n", _flowing(schema.get("description", "")), "", "| member | type | |", "|---|---|---|"]
        required = schema.get("required", [])
        for member, part in schema["properties"].items():
            seldom = "" if member in required else "may be missing"
            about = "; ".join(filter(None, (told(part), bounds_of(part), seldom)))
            lines.append(f"| `{member}` | {type_of(part)} | {about} |")
        lines.append("")
    return "\n".join(lines)


def _reached(document: dict[str, Any]) -> list[str]:
    """The types that results and parameters refer to, each after the first that refers to it."""
    schemas = document["components"]["schemas"]
    found: dict[str, None] = {}
    waiting = ["Event", *(name for method in document["methods"] for name in _referred(method))]
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found[name] = None
            waiting = [*_referred(schemas[name]), *waiting]
    return sorted(found)


def _referred(value: Any) -> Iterator[str]:
    """The names of the components that some JSON refers to."""
    if isinstance(value, dict):
        if name := name_of(value):
            yield name
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _referred(part)


def _default(param: dict[str, Any]) -> str:
    if param["required"]:
        return "required"
    return f"`{json.dumps(param['schema'].get('default'))}`"


def _right(name: str) -> str:
    right = _RIGHT_OF[name]
    return f"`{right}`" if right else "none"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _anchor(name: str) -> str:
    """How links name a heading: without its dots."""
    return name.replace(".", "")


def _flowing(text: str) -> str:
    """A docstring as paragraphs."""
    return "\n\n".join(paragraph.replace("\n", " ") for paragraph in inspect.cleandoc(text).split("\n\n"))
