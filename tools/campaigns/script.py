"""What the load asks: a mix of every request about a timer, drawn by dice, with repeats of what was asked before."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from campaigns.clients import Request
from timer_protocol.messages import Timer

KEYS_AT_MOST = 50
"""Changes with keys of one timer: fewer than a server remembers."""

PREFIX = "load/"
"""How the ids of all its timers begin."""

BATCH_SHARE = 0.15
BATCH_AT_MOST = 8
SHORTEST_S = 0.1
SPREAD = 30
"""Short timers take from 0.1 s to 30 times as long, the short ones more often."""


ZONES = (None, "Europe/Rome", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")
"""Where moments are told; None is for those with their offset."""


def at_moment(unix_s: float, zone: str | None = None) -> dict[str, Any]:
    """What starts a timer for a moment: with its offset, or as local time in a zone."""
    if zone is None:
        return {"at": datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds")}
    local = datetime.fromtimestamp(unix_s, ZoneInfo(zone)).replace(tzinfo=None)
    return {"at": local.isoformat(timespec="milliseconds"), "zone": zone}


def drawn_moment(unix_s: float, dice: Random) -> dict[str, Any]:
    """The same, in any zone. Some fire at once where the moment has passed; others are refused then."""
    past = {"past": "fire"} if dice.random() < 0.1 else {}
    return {**at_moment(unix_s, dice.choice(ZONES)), **past}


@dataclass
class Known:
    """A timer that was acknowledged, and what repeats of requests about it have to say."""

    start: Request
    is_long: bool
    keyed: list[Request] = field(default_factory=list)


class Script:
    """Hands out requests to any number of clients. They share the timers, so they meet at them.

    Where `wall_s` tells the server's wall clock, every other timer is started for a moment of it.
    """

    def __init__(self, wall_s: Callable[[], float] | None = None) -> None:
        self._wall_s = wall_s
        self._lock = threading.Lock()
        self._known: list[Known] = []
        self._ids: set[str] = set()
        self._started = 0

    def next(self, dice: Random) -> list[Request]:
        """What to send in the next message."""
        if dice.random() < BATCH_SHARE:
            return [self._request(dice) for _ in range(dice.randint(2, BATCH_AT_MOST))]
        return [self._request(dice)]

    def learn(self, requests: list[Request], timers: list[Timer | None]) -> None:
        """Takes note of the timers that were started."""
        with self._lock:
            for request, timer in zip(requests, timers, strict=True):
                if request.method == "timer.start" and timer is not None and timer.id not in self._ids:
                    self._ids.add(timer.id)
                    self._known.append(Known(request, "minutes" in request.params))

    def _request(self, dice: Random) -> Request:
        with self._lock:
            if not self._known or dice.random() < 0.4:
                return self._start(dice)
            # Mostly the latest: the short ones among them are still running.
            at = min(int(dice.expovariate(1 / 20)), len(self._known) - 1)
            return self._change(self._known[-1 - at], dice)

    def _start(self, dice: Random) -> Request:
        self._started += 1
        amount: dict[str, Any] = (
            {"minutes": dice.randint(60, 600)}
            if dice.random() < 0.3
            else {"seconds": round(SHORTEST_S * SPREAD ** dice.random(), 3)}
        )
        if self._wall_s is not None and dice.random() < 0.5:
            amount = drawn_moment(self._wall_s() + 60 * amount.get("minutes", 0) + amount.get("seconds", 0), dice)
        timer_id = f"{PREFIX}{self._started}"
        # Every other spec is so large that the log holds it once, and later entries refer to it.
        payload = {"number": self._started, "filler": "x" * 300 * (self._started % 2)}
        return Request("timer.start", {"id": timer_id, **amount, "label": "load", "payload": payload})

    def _change(self, known: Known, dice: Random) -> Request:
        timer_id = known.start.params["id"]
        match dice.choices(
            ("again", "pause", "resume", "cancel", "repeat", "extend", "restart"), (2, 5, 5, 2, 3, 4, 2)
        ):
            case ["again"]:
                return known.start
            case ["repeat"] if known.keyed:
                return dice.choice(known.keyed)
            case ["extend"] if len(known.keyed) < KEYS_AT_MOST:
                return self._keyed(known, "timer.extend", dice)
            case ["restart"] if len(known.keyed) < KEYS_AT_MOST:
                return self._keyed(known, "timer.restart", dice)
            case [("pause" | "resume" | "cancel") as name]:
                return Request(f"timer.{name}", {"id": timer_id})
            case _:
                return Request("timer.get", {"id": timer_id})

    @staticmethod
    def _keyed(known: Known, method: str, dice: Random) -> Request:
        """A change with a key of its own; extensions of a timer differ, so that the log shows which of them it has."""
        number = len(known.keyed) + 1
        params: dict[str, Any] = {"id": known.start.params["id"], "key": f"key/{number}"}
        if method == "timer.extend":
            sign = -1 if known.is_long and dice.random() < 0.3 else 1
            params["seconds"] = sign * (100 + number) / 1000
        request = Request(method, params)
        known.keyed.append(request)
        return request
