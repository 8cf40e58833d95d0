"""The life of a timer: one table of every state and every request.

The engine looks changes up here. Starting a timer, and finding none, are plain code there; tests compare both with the
table. The state diagram in ARCHITECTURE.md is made from it.
"""

from typing import Literal, NamedTuple

from timer_protocol.errors import ErrorCode
from timer_protocol.messages import EventKind, State

Request = Literal["start", "pause", "resume", "cancel", "extend", "restart", "expire"]
Absent = Literal["absent"]
"""The state of an id without a timer: never started, or ended and forgotten."""


class Change(NamedTuple):
    """The request is applied: the timer is in `state` then, and an event of `kind` is logged."""

    state: State
    kind: EventKind


class Unchanged(NamedTuple):
    """The timer is already as the request wants it: it succeeds, and nothing happens."""


class Refuse(NamedTuple):
    """The request makes no sense in this state: it gets an error, and nothing happens."""

    code: ErrorCode


Transition = Change | Unchanged | Refuse

_STARTED = Change("running", "started")
_PAUSED = Change("paused", "paused")
_RESUMED = Change("running", "resumed")
_CANCELLED = Change("cancelled", "cancelled")
_RESTARTED = Change("running", "restarted")
_FIRED = Change("fired", "fired")
_UNCHANGED = Unchanged()
_NOT_FOUND = Refuse(ErrorCode.TIMER_NOT_FOUND)
_WRONG_STATE = Refuse(ErrorCode.WRONG_STATE)

# A `start` with a taken id is unchanged only if it asks for the same timer; otherwise it is an id_conflict.
TRANSITIONS: dict[tuple[State | Absent, Request], Transition] = {
    ("absent", "start"): _STARTED,
    ("absent", "pause"): _NOT_FOUND,
    ("absent", "resume"): _NOT_FOUND,
    ("absent", "cancel"): _NOT_FOUND,
    ("absent", "extend"): _NOT_FOUND,
    ("absent", "restart"): _NOT_FOUND,
    ("absent", "expire"): _UNCHANGED,
    ("running", "start"): _UNCHANGED,
    ("running", "pause"): _PAUSED,
    ("running", "resume"): _UNCHANGED,
    ("running", "cancel"): _CANCELLED,
    ("running", "extend"): Change("running", "extended"),
    ("running", "restart"): _RESTARTED,
    ("running", "expire"): _FIRED,
    ("paused", "start"): _UNCHANGED,
    ("paused", "pause"): _UNCHANGED,
    ("paused", "resume"): _RESUMED,
    ("paused", "cancel"): _CANCELLED,
    ("paused", "extend"): Change("paused", "extended"),
    ("paused", "restart"): _RESTARTED,
    ("paused", "expire"): _UNCHANGED,
    ("fired", "start"): _UNCHANGED,
    ("fired", "pause"): _WRONG_STATE,
    ("fired", "resume"): _WRONG_STATE,
    ("fired", "cancel"): _WRONG_STATE,
    ("fired", "extend"): _WRONG_STATE,
    ("fired", "restart"): _RESTARTED,
    ("fired", "expire"): _UNCHANGED,
    ("cancelled", "start"): _UNCHANGED,
    ("cancelled", "pause"): _WRONG_STATE,
    ("cancelled", "resume"): _WRONG_STATE,
    ("cancelled", "cancel"): _UNCHANGED,
    ("cancelled", "extend"): _WRONG_STATE,
    ("cancelled", "restart"): _RESTARTED,
    ("cancelled", "expire"): _UNCHANGED,
}


def state_diagram() -> str:
    """The changes in the table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2"]
    for (state, request), transition in TRANSITIONS.items():
        if isinstance(transition, Change):
            source = "[*]" if state == "absent" else state
            lines.append(f"    {source} --> {transition.state}: {request} / {transition.kind}")
    return "\n".join(lines)
