"""Timer ids: which ones are allowed, and making ids that sort by their time."""

import re
from collections.abc import Sequence

from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.plurals import counted

ID_PATTERN = r"^[A-Za-z0-9._:/-]{1,128}$"
"""For JSON Schema, where `$` is the end of the text; Python code uses `is_valid_id`."""

KNOWN_ID_PATTERN = r"^[A-Za-z0-9._:/-][A-Za-z0-9._:/~-]{0,127}$"
"""The same for ids of existing timers: ids that later features make may have `~` inside, never first."""

_VALID_ID = re.compile(r"[A-Za-z0-9._:/-]{1,128}")
_VALID_LINES = re.compile(r"(?:[A-Za-z0-9._:/-]{1,128}+\n)++")

ENTROPY_BITS = 74


def is_valid_id(text: str) -> bool:
    """Whether `text` is 1-128 of the characters A-Z a-z 0-9 . _ : / -"""
    return _VALID_ID.fullmatch(text) is not None


def are_valid_ids(texts: Sequence[str]) -> bool:
    """Whether each of some texts, at least one, is a valid id: one search for all of them."""
    lines = "\n".join(texts) + "\n"
    return lines.count("\n") == len(texts) and _VALID_LINES.fullmatch(lines) is not None


def check_id(text: str) -> None:
    """Raises `Refusal` (invalid_params) unless `text` is a valid timer id."""
    if _VALID_ID.fullmatch(text) is None:
        shown = text if len(text) <= 40 else text[:40] + "…"
        raise Refusal(
            ErrorCode.INVALID_PARAMS,
            "id must be 1 to 128 of the characters A-Z a-z 0-9 . _ : / - ; "
            f"got {shown!r} ({counted(len(text), 'character')})",
        )


def uuid7(unix_ms: int, entropy: int) -> str:
    """A UUID version 7 (RFC 9562, section 5.7) from a Unix time in milliseconds and 74 random bits."""
    early, late = unix_ms >> 16 & 0xFFFF_FFFF, unix_ms & 0xFFFF
    high, low, node = entropy >> 62 & 0xFFF, entropy >> 48 & 0x3FFF, entropy & 0xFFFF_FFFF_FFFF
    return f"{early:08x}-{late:04x}-{0x7000 | high:04x}-{0x8000 | low:04x}-{node:012x}"
