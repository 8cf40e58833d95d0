"""The table of methods: what each takes and gives, and who may call it."""

from typing import Any, Literal

from msgspec import Struct

from timer_protocol.errors import ErrorCode
from timer_protocol.many import ChangedMany, ChangeManyParams, StartedMany, StartManyParams
from timer_protocol.messages import (
    CancelParams,
    DiscoverParams,
    EventPage,
    ExtendParams,
    GetParams,
    InfoParams,
    ListParams,
    PauseParams,
    ReadEventsParams,
    RestartParams,
    ResumeParams,
    ServerInfo,
    StartParams,
    Timer,
    TimerPage,
    WaitParams,
)
from timer_protocol.sender import Right

Scope = Literal["id", "ids", "prefix", "prefix or ids", "queue", "none"]
"""Where the params of a request say which ids it touches; a queue has a prefix of ids."""


class Method(Struct, frozen=True):
    """One line of the table of methods.

    `right` is what a sender needs, None for nothing; `scope` says where in the params the ids stand. Neither has a
    default, so that each new method declares both.
    """

    name: str
    params: type[Struct]
    right: Right | None
    scope: Scope
    result: Any
    summary: str
    errors: tuple[ErrorCode, ...] = ()


_NOT_FOUND = (ErrorCode.TIMER_NOT_FOUND,)
_CHANGE = (ErrorCode.TIMER_NOT_FOUND, ErrorCode.WRONG_STATE)
_GROWTH = (*_CHANGE, ErrorCode.LIMIT_REACHED)
_PARKED = (ErrorCode.LIMIT_REACHED, ErrorCode.SHUTTING_DOWN)

METHODS: tuple[Method, ...] = (
    Method(
        "timer.start",
        StartParams,
        "start",
        "id",
        Timer,
        "Start a timer, or return the one that the same request with the same id has started.",
        (ErrorCode.ID_CONFLICT, ErrorCode.LIMIT_REACHED),
    ),
    Method("timer.get", GetParams, "read", "id", Timer, "A timer as it stands.", _NOT_FOUND),
    Method(
        "timer.list",
        ListParams,
        "read",
        "prefix",
        TimerPage,
        "A page of timers in the order of their ids, or deadlines.",
    ),
    Method(
        "timer.pause", PauseParams, "change", "id", Timer, "Stop the countdown; a paused timer stays paused.", _GROWTH
    ),
    Method(
        "timer.resume",
        ResumeParams,
        "change",
        "id",
        Timer,
        "Let a paused timer run on; a running one runs on.",
        _GROWTH,
    ),
    Method(
        "timer.cancel",
        CancelParams,
        "change",
        "id",
        Timer,
        "End a timer before its time; a cancelled one stays so.",
        _CHANGE,
    ),
    Method(
        "timer.extend", ExtendParams, "change", "id", Timer, "Add time to a pending timer, or take some away.", _GROWTH
    ),
    Method(
        "timer.restart",
        RestartParams,
        "change",
        "id",
        Timer,
        "Run a timer's full time again, from any state.",
        (ErrorCode.TIMER_NOT_FOUND, ErrorCode.LIMIT_REACHED),
    ),
    Method(
        "timer.start_many",
        StartManyParams,
        "start",
        "ids",
        StartedMany,
        "Start many timers, each as `timer.start` would.",
        (ErrorCode.LIMIT_REACHED,),
    ),
    Method(
        "timer.change_many",
        ChangeManyParams,
        "change",
        "prefix or ids",
        ChangedMany,
        "Change many timers, each as the method of that name would.",
        (ErrorCode.LIMIT_REACHED,),
    ),
    Method(
        "timer.wait",
        WaitParams,
        "read",
        "id",
        Timer,
        "The timer once it has ended, or as it stands after `wait_ms`.",
        _NOT_FOUND + _PARKED,
    ),
    Method(
        "events.read",
        ReadEventsParams,
        "read",
        "prefix",
        EventPage,
        "Events after a cursor; waits for one if asked.",
        _PARKED,
    ),
    Method("server.info", InfoParams, None, "none", ServerInfo, "The server's version, clock, counts and limits."),
    Method(
        "rpc.discover", DiscoverParams, None, "none", dict[str, Any], "This document: the service described in OpenRPC."
    ),
)
