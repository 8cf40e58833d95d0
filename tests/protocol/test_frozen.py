"""`timer/1` is frozen: whatever the stored description promises is still there, and only additions are allowed.

The description is `timer-1.openrpc.json`, as the service described itself when it was frozen. It is not rewritten; what
a later release adds may be added to it, by `python -m protocol.test_frozen`.
"""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from timer_server.requests.openrpc import describe

STORED = Path(__file__).parent / "timer-1.openrpc.json"

TEXTS = {"description", "summary", "title", "version", "message", "openrpc"}
BOUNDS = {"maxLength", "maximum", "maxItems", "maxProperties", "pattern"}
"""What PROTOCOL.md leaves open: texts, and how much is allowed."""


def present() -> Any:
    return json.loads(msgspec.json.encode(describe()))


def broken(before: Any, now: Any, where: str = "$") -> list[str]:
    """What the one description promises and the other does not keep, as places in it."""
    if isinstance(before, dict) and isinstance(now, dict):
        if "required" in before and "properties" in before and _is_asked(where):
            added = set(now.get("required", [])) - set(before["required"])
            if added:
                return [f"{where}: {sorted(added)} became required"]
        found = []
        for name, value in before.items():
            if name in TEXTS | BOUNDS and not where.endswith(".properties"):
                continue
            found += broken(value, now[name], f"{where}.{name}") if name in now else [f"{where}.{name} is gone"]
        return found
    if isinstance(before, list) and isinstance(now, list):
        return _broken_list(before, now, where)
    return [] if before == now else [f"{where} was {before!r} and is {now!r}"]


def _is_asked(where: str) -> bool:
    """Whether a schema is that of params, where nothing may become required."""
    return where.endswith("Params")


def _broken_list(before: list[Any], now: list[Any], where: str) -> list[str]:
    if where.endswith(".params"):  # positions count, and what is new at the end may be left out
        added = [param["name"] for param in now[len(before) :] if param["required"]]
        changed = [found for one, other in zip(before, now, strict=False) for found in broken(one, other, where)]
        gone = [f"{where}: {len(before) - len(now)} are gone"] if len(now) < len(before) else []
        return changed + gone + [f"{where}: {name} is new and required" for name in added]
    if before and all(isinstance(item, dict) for item in before):
        by_key = {_key(item): item for item in now}
        return [
            found
            for item in before
            for found in (
                broken(item, by_key[_key(item)], f"{where}[{_key(item)}]")
                if _key(item) in by_key
                else [f"{where}[{_key(item)}] is gone"]
            )
        ]
    return [f"{where}: {item!r} is gone" for item in before if item not in now]


def _key(item: Any) -> str:
    """What tells an element of a list: its name, its code, or all of it."""
    return str(
        item.get("name") or item.get("code") or {name: item[name] for name in sorted(item) if name not in BOUNDS}
    )


def test_what_was_promised_is_kept() -> None:
    assert broken(json.loads(STORED.read_text()), present()) == []


def _method(document: Any, name: str) -> Any:
    return next(method for method in document["methods"] if method["name"] == name)


ADDITIONS: dict[str, Callable[[Any], object]] = {
    "a method": lambda document: document["methods"].append({"name": "timer.peek"}),
    "a parameter that may be left out": lambda document: _method(document, "timer.start")["params"].append(
        {"name": "why", "required": False, "schema": {"type": "string"}}
    ),
    "a member of a timer": lambda document: document["components"]["schemas"]["Timer"]["properties"].update(why={}),
    "an error": lambda document: _method(document, "timer.get")["errors"].append({"code": -32008}),
    "a text": lambda document: _method(document, "timer.get").update(summary="another"),
    "a bound": lambda document: document["components"]["schemas"]["StartParams"]["properties"]["label"].update(
        maxLength=7
    ),
}

BREAKS: dict[str, Callable[[Any], object]] = {
    "a method is gone": lambda document: document["methods"].pop(),
    "a parameter is gone": lambda document: _method(document, "timer.start")["params"].pop(),
    "parameters change places": lambda document: _method(document, "timer.start")["params"].reverse(),
    "a new parameter is required": lambda document: _method(document, "timer.get")["params"].append(
        {"name": "why", "required": True, "schema": {}}
    ),
    "a member of a timer is gone": lambda document: document["components"]["schemas"]["Timer"]["properties"].pop("id"),
    "a member has another type": lambda document: document["components"]["schemas"]["Event"]["properties"][
        "seq"
    ].update(type="string"),
    "a member that is named as a text is gone": lambda document: document["components"]["schemas"]["Timer"][
        "properties"
    ].pop("version"),
    "a state is gone": lambda document: document["components"]["schemas"]["Timer"]["properties"]["state"]["enum"].pop(),
    "an error is gone": lambda document: _method(document, "timer.get")["errors"].pop(0),
    "an error has another number": lambda document: _method(document, "timer.get")["errors"][0].update(code=-1),
}


@pytest.mark.parametrize("change", ADDITIONS.values(), ids=list(ADDITIONS))
def test_additions_are_allowed(change: Callable[[Any], object]) -> None:
    document = copy.deepcopy(present())
    change(document)

    assert broken(present(), document) == []


@pytest.mark.parametrize("change", BREAKS.values(), ids=list(BREAKS))
def test_breaks_are_found(change: Callable[[Any], object]) -> None:
    document = copy.deepcopy(present())
    change(document)

    assert broken(present(), document) != []


if __name__ == "__main__":
    STORED.write_text(json.dumps(present(), indent=1) + "\n")
