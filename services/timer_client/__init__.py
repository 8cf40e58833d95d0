"""Client of the timer service: `TimerClient` for threads, `AsyncTimerClient` for asyncio, and the command `timer`.

from timer_client import TimerClient

with TimerClient() as client:
    timer = client.start(minutes=15, id="order/42", payload={"action": "release"})
    client.wait(timer)
"""

TYPE_CHECKING = False  # as type checkers know it, without the wait for `typing`
if TYPE_CHECKING:
    from typing import Any

    from timer_client.async_client import AsyncTimerClient
    from timer_client.async_work import AsyncHeldDelivery, AsyncWork
    from timer_client.calls import Call, TimerSpec, new_id
    from timer_client.client import TimerClient
    from timer_client.cursor import Cursor
    from timer_client.errors import (
        AccessDenied,
        BadReply,
        ClientClosed,
        ConfigError,
        EventsTruncated,
        IdConflict,
        InvalidArgument,
        InvalidRequest,
        LeaseLost,
        LimitReached,
        LocalFailure,
        NotPermitted,
        PlanNotFound,
        QueueNotFound,
        ServerError,
        ServerUnreachable,
        ShuttingDown,
        StorageFailed,
        TimerError,
        TimerNotFound,
        WrongState,
    )
    from timer_client.retry import Pause
    from timer_client.settings import Settings, load_settings
    from timer_client.streams import AsyncEventStream, EventStream
    from timer_client.watch import Countdown
    from timer_client.work import HeldDelivery, Work
    from timer_protocol.many import ChangedMany, StartedMany
    from timer_protocol.messages import Event, EventPage, ServerInfo, Timer, TimerPage
    from timer_protocol.plan_messages import Every, NextMoment, Plan, PlanPreview, Step
    from timer_protocol.queue_messages import DeadLetter, DeadPage, Delivery, Queue, Renewed, Settled
    from timer_protocol.traces import Trace

__all__ = [
    "AccessDenied",
    "AsyncEventStream",
    "AsyncHeldDelivery",
    "AsyncTimerClient",
    "AsyncWork",
    "BadReply",
    "Call",
    "ChangedMany",
    "ClientClosed",
    "ConfigError",
    "Countdown",
    "Cursor",
    "DeadLetter",
    "DeadPage",
    "Delivery",
    "Event",
    "EventPage",
    "EventStream",
    "EventsTruncated",
    "Every",
    "HeldDelivery",
    "IdConflict",
    "InvalidArgument",
    "InvalidRequest",
    "LeaseLost",
    "LimitReached",
    "LocalFailure",
    "NextMoment",
    "NotPermitted",
    "Pause",
    "Plan",
    "PlanNotFound",
    "PlanPreview",
    "Queue",
    "QueueNotFound",
    "Renewed",
    "ServerError",
    "ServerInfo",
    "ServerUnreachable",
    "Settings",
    "Settled",
    "ShuttingDown",
    "StartedMany",
    "Step",
    "StorageFailed",
    "Timer",
    "TimerClient",
    "TimerError",
    "TimerNotFound",
    "TimerPage",
    "TimerSpec",
    "Trace",
    "Work",
    "WrongState",
    "load_settings",
    "new_id",
]

_MODULES = {
    "AsyncEventStream": "timer_client.streams",
    "AsyncHeldDelivery": "timer_client.async_work",
    "AsyncTimerClient": "timer_client.async_client",
    "AsyncWork": "timer_client.async_work",
    "Call": "timer_client.calls",
    "Countdown": "timer_client.watch",
    "Cursor": "timer_client.cursor",
    "EventStream": "timer_client.streams",
    "HeldDelivery": "timer_client.work",
    "Pause": "timer_client.retry",
    "Settings": "timer_client.settings",
    "TimerClient": "timer_client.client",
    "TimerSpec": "timer_client.calls",
    "Trace": "timer_protocol.traces",
    "Work": "timer_client.work",
    "load_settings": "timer_client.settings",
    "new_id": "timer_client.calls",
    **dict.fromkeys(("ChangedMany", "StartedMany"), "timer_protocol.many"),
    **dict.fromkeys(("Event", "EventPage", "ServerInfo", "Timer", "TimerPage"), "timer_protocol.messages"),
    **dict.fromkeys(("Every", "NextMoment", "Plan", "PlanPreview", "Step"), "timer_protocol.plan_messages"),
    **dict.fromkeys(
        ("DeadLetter", "DeadPage", "Delivery", "Queue", "Renewed", "Settled"), "timer_protocol.queue_messages"
    ),
}


def __getattr__(name: str) -> "Any":
    """Imports a name when it is first used, so that `timer --help` does not wait for the sockets' library."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib  # noqa: PLC0415 - the command needs it later than Ctrl-C

    return getattr(importlib.import_module(_MODULES.get(name, "timer_client.errors")), name)
