"""Trace contexts: where in a distributed trace a timer was started, as W3C Trace Context writes it.

See w3.org/TR/trace-context. A context is a `traceparent` of version 00 and, where there is one, a `tracestate`.
"""

import re
from typing import Annotated, Final

from msgspec import Meta, Struct

from timer_protocol.limits import TRACESTATE_CHARACTERS, TRACESTATE_MEMBERS

TRACEPARENT_PATTERN: Final = "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"

TRACEPARENT: Final = "00-<32 digits>-<16 digits>-<2 digits>, hexadecimal in lower case, the first two not all zero"
"""What is allowed, for people."""

TRACESTATE: Final = (
    f"at most {TRACESTATE_CHARACTERS} characters with at most {TRACESTATE_MEMBERS} members, each key=value,"
    " with commas between them and no key twice"
)

_traceparent = re.compile(TRACEPARENT_PATTERN[1:-1])
_member = re.compile(r"[a-z0-9][a-z0-9_\-*/@]{0,255}=[ -+\--<>-~]{0,255}[!-+\--<>-~]")


class Trace(Struct, forbid_unknown_fields=True, frozen=True, gc=False, omit_defaults=True):
    """Where in a distributed trace a timer was started: the two headers of W3C Trace Context."""

    # Only in the schema: `fault_in` says better what is wrong than a pattern.
    traceparent: Annotated[str, Meta(extra_json_schema={"pattern": TRACEPARENT_PATTERN})]
    tracestate: Annotated[str, Meta(extra_json_schema={"maxLength": TRACESTATE_CHARACTERS})] = ""


def fault_in(trace: Trace) -> str | None:
    """What is wrong with a trace context, and what is allowed; None for a good one."""
    parent = trace.traceparent
    if not _traceparent.fullmatch(parent) or not parent[3:35].strip("0") or not parent[36:52].strip("0"):
        return f"traceparent is {_shown(parent)}, but has to be {TRACEPARENT}"
    if not _is_tracestate(trace.tracestate):
        return f"tracestate is {_shown(trace.tracestate)}, but has {TRACESTATE}"
    return None


def _is_tracestate(text: str) -> bool:
    if len(text) > TRACESTATE_CHARACTERS:
        return False
    members = [member for each in text.split(",") if (member := each.strip(" \t"))]
    keys = {member.partition("=")[0] for member in members}
    return len(keys) == len(members) <= TRACESTATE_MEMBERS and all(map(_member.fullmatch, members))


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:60] + "…")
