"""What handlers and middleware share: made once by `serve`, or by a test, and handed to `application`."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from timer_gateway.access import Access
from timer_gateway.limits import Rate
from timer_gateway.metrics import Metrics
from timer_gateway.settings import GatewaySettings
from timer_gateway.upstream import Upstream


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts of a running gateway."""

    settings: GatewaySettings
    upstream: Upstream
    metrics: Metrics
    access: Access
    rate: Rate
    clock: Callable[[], float]
    """The monotonic clock, in seconds."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the process is asked to stop: streams end by themselves then, so that it need not cut them."""
