"""What tests of plans ask a desk, whose clock begins on a Tuesday evening."""

from typing import Any

from drivers.builders import BEGIN_NS, NS_PER_MS
from drivers.desk import Desk

BEGIN_MS = BEGIN_NS // NS_PER_MS
"""2023-11-14, 22:13:20 UTC, a Tuesday."""

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def put(desk: Desk, plan: str = "p", **asked: Any) -> Any:
    return desk.result("plan.put", plan=plan, **({"every": {"hours": 1}} | asked if "cron" not in asked else asked))


def get(desk: Desk, plan: str = "p") -> Any:
    return desk.result("plan.get", plan=plan)


def timers(desk: Desk) -> dict[str, str]:
    return {timer["id"]: timer["state"] for timer in desk.result("timer.list")["timers"]}
