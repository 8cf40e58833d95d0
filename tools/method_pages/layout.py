"""JSON laid out for people: what fits on a line stands on it."""

import json
from typing import Any

_WIDTH = 110


def laid_out(value: Any, indent: str = "", before: int = 0) -> str:
    """A value as JSON text. `before` is how much of its first line is taken."""
    text = json.dumps(value, ensure_ascii=False)
    if len(indent) + before + len(text) <= _WIDTH or not isinstance(value, dict | list) or not value:
        return text
    inner = f"{indent}  "
    if isinstance(value, dict):
        members = [(json.dumps(name, ensure_ascii=False), part) for name, part in value.items()]
        lines = [f"{name}: {laid_out(part, inner, len(name) + 3)}" for name, part in members]
        opening, closing = "{}"
    else:
        lines = [laid_out(part, inner, 1) for part in value]
        opening, closing = "[]"
    return f",\n{inner}".join([f"{opening}\n{inner}{lines[0]}", *lines[1:]]) + f"\n{indent}{closing}"
