"""What PROTOCOL.md has on a method: the meaning of each parameter, and an exchange that a test performs."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import timer_protocol

_TEXT = (Path(timer_protocol.__file__).parent / "PROTOCOL.md").read_text(encoding="utf-8")
_SECTIONS = dict(re.findall(r"^### (\S+)\n(.*?)(?=^#|\Z)", _TEXT, re.MULTILINE | re.DOTALL))
_ROW = re.compile(r"^\| `(\w+)` \|.*\| ([^|]*) \|$", re.MULTILINE)
_BODY = re.compile(r"^([<>]) 2: (\{.*)$", re.MULTILINE)


class Example(NamedTuple):
    """A request and its reply, each as it is on the wire."""

    request: str
    reply: str


def meanings(method: str) -> Mapping[str, str]:
    """The meaning of each parameter, without references to sections, which only that document has."""
    rows = _ROW.findall(_SECTIONS[method].partition("```")[0])
    return {name: re.sub(r" \(section \d+\)", "", meaning).strip() for name, meaning in rows}


def example(method: str) -> Example:
    """The first exchange of a method that succeeds, or else the first."""
    found = list(_exchanges(method))
    return next((one for one in found if '"result":' in one.reply), found[0])


def _exchanges(method: str) -> Iterator[Example]:
    bodies = _BODY.findall(_SECTIONS[method])
    for number, (direction, body) in enumerate(bodies):
        if direction == ">" and f'"method":"{method}"' in body:
            request: dict[str, Any] = json.loads(body)
            ending = f'"id":{json.dumps(request["id"])}}}'
            replies = [reply for way, reply in bodies[number:] if way == "<" and reply.endswith(ending)]
            yield Example(body, replies[0])
