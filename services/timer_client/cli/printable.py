"""Text from elsewhere, made fit for a terminal.

Escapes stand in place of everything that drives a terminal, turns a text around, or takes no room in it: a stranger's
label could pass for another one with it, or hide something.
"""

from collections.abc import Callable
from unicodedata import category

_ESCAPED = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
"""Controls, invisible formats, private use, lone surrogates, line and paragraph separators. What is not assigned is not
among them, as it may be an emoji that is newer than Python's table."""

_JOINERS = "\u200c\u200d"
"""Invisible formats that are kept: words in Persian and Indic scripts need them, and emoji."""

_NEVER_SEEN = (range(0x2065, 0x2066), range(0xFFF0, 0xFFF9), range(0xE0000, 0xE0100), range(0xE01F0, 0xE1000))
"""What Unicode will assign to invisible characters alone, in part tags today."""

_BYTES = range(0xDC80, 0xDD00)
"""What Python makes of the bytes of an argument that are no text."""


def printable(text: str) -> str:
    """The text with escapes as in Python's strings; a byte that is no text is shown as `\\xff`."""
    return text if text.isprintable() else text.translate(_TEXT)


def printable_json(text: str) -> str:
    """JSON with its own escapes, which stand only within its strings. The value stays the same."""
    return text if text.isprintable() else text.translate(_JSON)


class _Escapes:
    """What `str.translate` puts for each character. Looked up as they come: a table of all would slow every start."""

    def __init__(self, escape: Callable[[int], str]) -> None:
        self._escape = escape

    def __getitem__(self, code: int) -> int | str:
        character = chr(code)
        is_escaped = category(character) in _ESCAPED and character not in _JOINERS
        return self._escape(code) if is_escaped or any(code in codes for codes in _NEVER_SEEN) else code


def _text_escape(code: int) -> str:
    if code < 0x100 or code in _BYTES:
        return f"\\x{code & 0xFF:02x}"
    return f"\\u{code:04x}" if code < 0x1_0000 else f"\\U{code:08x}"


def _json_escape(code: int) -> str:
    units = chr(code).encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


_TEXT = _Escapes(_text_escape)
_JSON = _Escapes(_json_escape)
