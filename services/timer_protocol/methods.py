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
from timer_protocol.plan_messages import (
    KeyedPlanParams,
    ListPlansParams,
    Plan,
    PlanPage,
    PlanParams,
    PlanPreview,
    PreviewPlanParams,
    PutPlanParams,
)
from timer_protocol.queue_messages import (
    AckParams,
    DeadMoved,
    DeadPage,
    DeadParams,
    Deleted,
    Deliveries,
    ListQueuesParams,
    MoveDeadParams,
    NackParams,
    PutQueueParams,
    Queue,
    QueuePage,
    QueueParams,
    Renewed,
    RenewParams,
    Settled,
    TakeParams,
)
from timer_protocol.sender import Right

Scope = Literal["id", "ids", "prefix", "prefix or ids", "queue", "plan", "none"]
"""Where the params of a request say which ids it touches; a queue has a prefix of ids, and a plan an id."""


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
    needs_answer: bool = False
    """Whether it is of use only to who gets the answer, though its right is not `read`: without an `id` it is not
    applied."""


_NOT_FOUND = (ErrorCode.TIMER_NOT_FOUND,)
_NO_QUEUE = (ErrorCode.QUEUE_NOT_FOUND,)
_NO_PLAN = (ErrorCode.PLAN_NOT_FOUND,)
_PLAN_GROWTH = (*_NO_PLAN, ErrorCode.LIMIT_REACHED)
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
    Method(
        "queue.put",
        PutQueueParams,
        "admin",
        "queue",
        Queue,
        "Make a queue of the ends below a prefix, or change one.",
        (ErrorCode.LIMIT_REACHED,),
    ),
    Method("queue.delete", QueueParams, "admin", "queue", Deleted, "Delete a queue with all that it holds."),
    Method("queue.get", QueueParams, "read", "queue", Queue, "A queue, and how much it holds.", _NO_QUEUE),
    Method(
        "queue.list", ListQueuesParams, "read", "prefix", QueuePage, "A page of queues in the order of their names."
    ),
    Method(
        "queue.take",
        TakeParams,
        "take",
        "queue",
        Deliveries,
        "Lease the next ready ends; waits for one if asked.",
        (*_NO_QUEUE, ErrorCode.LIMIT_REACHED, ErrorCode.SHUTTING_DOWN),
        needs_answer=True,
    ),
    Method(
        "queue.ack", AckParams, "take", "queue", Settled, "Be done with deliveries: they never come again.", _NO_QUEUE
    ),
    Method("queue.nack", NackParams, "take", "queue", Settled, "Give deliveries back, or give them up.", _NO_QUEUE),
    Method(
        "queue.renew",
        RenewParams,
        "take",
        "queue",
        Renewed,
        "Lease deliveries for longer.",
        (*_NO_QUEUE, ErrorCode.LIMIT_REACHED),
    ),
    Method(
        "queue.dead",
        DeadParams,
        "take",
        "queue",
        DeadPage,
        "A page of dead letters, the oldest first.",
        _NO_QUEUE,
        needs_answer=True,
    ),
    Method(
        "queue.revive",
        MoveDeadParams,
        "take",
        "queue",
        DeadMoved,
        "Deliver dead letters again.",
        (*_NO_QUEUE, ErrorCode.LIMIT_REACHED),
    ),
    Method("queue.drop", MoveDeadParams, "take", "queue", DeadMoved, "Forget dead letters.", _NO_QUEUE),
    Method(
        "plan.put",
        PutPlanParams,
        "admin",
        "plan",
        Plan,
        "Make a plan, a rule that starts timers, or change one.",
        (ErrorCode.LIMIT_REACHED,),
    ),
    Method("plan.delete", PlanParams, "admin", "plan", Deleted, "Delete a plan, and cancel the timer it waits for."),
    Method("plan.get", PlanParams, "read", "plan", Plan, "A plan, and how it stands.", _NO_PLAN),
    Method("plan.list", ListPlansParams, "read", "prefix", PlanPage, "A page of plans in the order of their ids."),
    Method("plan.preview", PreviewPlanParams, "read", "none", PlanPreview, "The moments of a rule; nothing is stored."),
    Method(
        "plan.pause",
        PlanParams,
        "change",
        "plan",
        Plan,
        "Let a plan rest; the timer it waits for is cancelled.",
        _PLAN_GROWTH,
    ),
    Method(
        "plan.resume",
        PlanParams,
        "change",
        "plan",
        Plan,
        "Let a paused plan go on, from its next moment.",
        _PLAN_GROWTH,
    ),
    Method(
        "plan.skip",
        KeyedPlanParams,
        "change",
        "plan",
        Plan,
        "Leave out the occurrence that comes next.",
        (*_PLAN_GROWTH, ErrorCode.WRONG_STATE),
    ),
    Method("plan.run", KeyedPlanParams, "start", "plan", Plan, "Start one that is due at once, beside.", _PLAN_GROWTH),
)
