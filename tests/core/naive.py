"""The timer service once more, as plainly as it can be told: a dict of dicts, a list of entries, linear scans.

It is what the engine is compared with, so it shares nothing with it. Requests are dicts, and outcomes are
`("timer", view)` or `("error", number)`. Times are nanoseconds; what leaves is in whole milliseconds.
"""

import json
from typing import Any

NOT_FOUND, CONFLICT, WRONG_STATE, LIMIT, INVALID = -32001, -32002, -32003, -32004, -32602

PENDING = ("running", "paused")

Outcome = tuple[str, Any]
Kept = tuple[dict[str, dict[str, Any]], list[dict[str, Any]], int, dict[str, set[int]]]
"""The timers, the log, the place that retention has reached, and the places that each queue holds."""


def floor_ms(now_ns: int) -> int:
    return now_ns // 1_000_000


def ceil_ms(now_ns: int) -> int:
    return (now_ns + 999_999) // 1_000_000


LARGE_PAYLOAD_BYTES = 256
"""A timer with more payload is one whose spec stands in its first event only. No label in the games is long."""


class Naive:
    """Timers, their log, and what of the log retention has left: as they are, in commits under way, and on disk."""

    def __init__(self, max_timers: int, max_duration_s: int, max_payload_bytes: int, retention_s: int) -> None:
        self.max_timers = max_timers
        self.max_duration_ms = max_duration_s * 1000
        self.max_payload_bytes = max_payload_bytes
        self.retention_ms = retention_s * 1000
        self.shares: dict[str, int] = {}
        self.timers: dict[str, dict[str, Any]] = {}
        self.log: list[dict[str, Any]] = []
        self.horizon = 0
        self.queues: dict[str, set[int]] = {}
        self.waits_at: int | None = None
        self.drafts: list[dict[str, Any]] = []
        self.turn_begins_at = 0
        self.in_flight: list[Kept] = []
        self.saved: Kept = ({}, [], 0, {})

    # Requests

    def request(self, request: dict[str, Any], now_ns: int) -> Outcome:
        """What a request is answered with, once its effect is there."""
        if request["do"] == "start":
            return self._start(request, now_ns)
        self._fire_if_overdue(request["id"], now_ns)
        timer = self.timers.get(request["id"])
        if timer is None:
            return "error", NOT_FOUND
        if request.get("key") is not None and request["key"] in timer["keys"]:
            return self._view(timer, now_ns)
        error = getattr(self, "_" + request["do"])(timer, request, now_ns)
        if error is not None:
            return "error", error
        return self._view(timer, now_ns)

    def _start(self, request: dict[str, Any], now_ns: int) -> Outcome:
        duration_ms = _amount_ms(request)
        if not 0 < duration_ms <= self.max_duration_ms:
            return "error", INVALID
        if len(request["payload"]) > self.max_payload_bytes:
            return "error", LIMIT
        self._fire_if_overdue(request["id"], now_ns)
        asked = {name: request[name] for name in ("hours", "minutes", "seconds", "label")}
        timer = self.timers.get(request["id"])
        if timer is not None:
            same_payload = json.loads(timer["payload"]) == json.loads(request["payload"])
            if any(timer[name] != value for name, value in asked.items()) or not same_payload:
                return "error", CONFLICT
            return self._view(timer, now_ns)
        if self._is_full(request["id"]):
            return "error", LIMIT
        timer = {
            "id": request["id"],
            **asked,
            "state": "running",
            "duration_ms": duration_ms,
            "remaining_ms": duration_ms,
            "started_at_ms": ceil_ms(now_ns),
            "due_at_ms": ceil_ms(now_ns) + duration_ms,
            "ended_at_ms": None,
            "version": 0,
            "payload": request["payload"],
            "keys": [],
            "spec_place": len(self.log) + 1 if len(request["payload"]) > LARGE_PAYLOAD_BYTES else None,
        }
        self.timers[timer["id"]] = timer
        self._happened("started", timer, now_ns)
        return self._view(timer, now_ns)

    def _get(self, *_: object) -> None:
        """Looking changes nothing."""

    def _pause(self, timer: dict[str, Any], request: dict[str, Any], now_ns: int) -> int | None:
        if timer["state"] == "paused":
            return None
        if timer["state"] != "running":
            return WRONG_STATE
        timer.update(state="paused", remaining_ms=self._remaining_ms(timer, now_ns), due_at_ms=None)
        self._happened("paused", timer, now_ns, request["key"])
        return None

    def _resume(self, timer: dict[str, Any], request: dict[str, Any], now_ns: int) -> int | None:
        if timer["state"] == "running":
            return None
        if timer["state"] != "paused":
            return WRONG_STATE
        timer.update(state="running", due_at_ms=ceil_ms(now_ns) + timer["remaining_ms"])
        self._happened("resumed", timer, now_ns, request["key"])
        return None

    def _cancel(self, timer: dict[str, Any], request: dict[str, Any], now_ns: int) -> int | None:
        if timer["state"] == "cancelled":
            return None
        if timer["state"] == "fired":
            return WRONG_STATE
        timer.update(state="cancelled", remaining_ms=0, ended_at_ms=ceil_ms(now_ns))
        self._happened("cancelled", timer, now_ns, request["key"])
        return None

    def _extend(self, timer: dict[str, Any], request: dict[str, Any], now_ns: int) -> int | None:
        if timer["state"] not in PENDING:
            return WRONG_STATE
        by_ms = _amount_ms(request)
        to_go_ms = self._remaining_ms(timer, now_ns) + by_ms
        if by_ms == 0 or not 0 < to_go_ms <= self.max_duration_ms:
            return INVALID
        timer["duration_ms"] += by_ms
        if timer["state"] == "paused":
            timer["remaining_ms"] = to_go_ms
        else:
            timer["due_at_ms"] += by_ms
        self._happened("extended", timer, now_ns, request["key"])
        return None

    def _restart(self, timer: dict[str, Any], request: dict[str, Any], now_ns: int) -> int | None:
        if timer["state"] not in PENDING and self._is_full(timer["id"]):
            return LIMIT
        duration_ms = _amount_ms(timer)
        timer.update(
            state="running",
            duration_ms=duration_ms,
            remaining_ms=duration_ms,
            started_at_ms=ceil_ms(now_ns),
            due_at_ms=ceil_ms(now_ns) + duration_ms,
            ended_at_ms=None,
        )
        self._happened("restarted", timer, now_ns, request["key"])
        return None

    # Time

    def expire(self, now_ns: int, most: int) -> int:
        """Fires the first `most` of those that are due, and returns how many."""
        seqs = {event["id"]: event["seq"] for event in events_of(self.log)}
        due = sorted(
            (timer["due_at_ms"], seqs[timer_id], timer_id)
            for timer_id, timer in self.timers.items()
            if self._is_due(timer, now_ns)
        )
        for *_, timer_id in due[:most]:
            self._fire_if_overdue(timer_id, now_ns)
        return len(due[:most])

    def next_due_ms(self) -> int | None:
        return min((timer["due_at_ms"] for timer in self.timers.values() if timer["state"] == "running"), default=None)

    # Lists

    def listed(self, prefix: str, state: str | None, after: str | None, now_ns: int) -> list[dict[str, Any]]:
        """Views in the order of ids. Looking fires nothing."""
        return [
            self._view(timer, now_ns)[1]
            for timer_id, timer in sorted(self.timers.items())
            if timer_id.startswith(prefix)
            and (state is None or timer["state"] == state)
            and (after is None or timer_id > after)
        ]

    def pending(self, prefix: str) -> int:
        return sum(timer["state"] in PENDING and timer["id"].startswith(prefix) for timer in self.timers.values())

    def counts(self) -> dict[str, int]:
        states = [timer["state"] for timer in self.timers.values()]
        return {state: states.count(state) for state in ("running", "paused", "fired", "cancelled")}

    # Queues, each of which holds the ends that happen while it is there

    def put(self, queue: str, now_ns: int) -> None:
        self.queues[queue] = set()
        self._draft(queue, "change", "put", now_ns)

    def delete(self, queue: str, now_ns: int) -> None:
        del self.queues[queue]
        self._draft(queue, "gone", "deleted", now_ns)

    def let_go(self, queue: str, places: list[int], now_ns: int) -> None:
        self.queues[queue] -= set(places)
        self._draft(queue, "change", places, now_ns)

    def snapshot(self, queue: str, part: str, places: list[int], now_ns: int) -> None:
        self._draft(queue, part, places, now_ns)

    def start_server(self, now_ns: int) -> None:
        if self.queues:
            self._log({"at_ms": ceil_ms(now_ns), "is_start": True})

    # The log

    def submit(self) -> None:
        """A commit of what has happened is under way."""
        self.log_drafts()
        self.in_flight.append(copied((self.timers, self.log, self.horizon, self.queues)))
        self.turn_begins_at = len(self.log)

    def land(self) -> None:
        """The oldest commit that is under way is done."""
        self.saved = self.in_flight.pop(0)

    def crash(self) -> None:
        """Back to what is on disk."""
        self.timers, self.log, self.horizon, self.queues = copied(self.saved)
        self.waits_at = None
        self.drafts.clear()
        self.turn_begins_at = len(self.log)
        self.in_flight.clear()

    def stored(self) -> list[dict[str, Any]]:
        """What a store has to hold: what retention left, the last event of every pending timer, what queues hold and
        need of their own, and each event with the large spec of one of those."""
        timers, log, horizon, queues = self.saved
        pending = {timer_id for timer_id, timer in timers.items() if timer["state"] in PENDING}
        kept = {entry["place"] for entry in log[horizon:]}
        kept |= {place for timer_id, place in last_places(log).items() if timer_id in pending}
        kept |= {place for held in queues.values() for place in held}
        kept |= needed_by_queues(log, set(queues))
        kept |= {event["spec_place"] for event in events_of(log) if event["place"] in kept}
        return [entry for entry in log if entry["place"] in kept]

    def forget(self, now_ns: int, most: int) -> set[str]:
        """Retention over at most so many events that are on disk: the oldest goes while it is too old, or while too
        many timers have ended; a timer that has ended goes with its last event. Returns the ids that went."""
        last = last_places(self.log)
        gone = set()
        for entry in self.log[self.horizon : len(self.saved[1])][:most]:
            is_old = entry["at_ms"] + self.retention_ms <= floor_ms(now_ns)
            ended = sum(timer["state"] not in PENDING for timer in self.timers.values())
            is_waited_for = self.waits_at is not None and entry["place"] > self.waits_at
            if is_waited_for or (not is_old and ended <= self.max_timers):
                break
            self.horizon = entry["place"]
            timer = self.timers.get(entry.get("id", ""))
            if timer is not None and timer["state"] not in PENDING and last[entry["id"]] == entry["place"]:
                del self.timers[entry["id"]]
                gone.add(entry["id"])
        return gone

    # Parts

    def _is_full(self, timer_id: str) -> bool:
        maxima = {"": self.max_timers, **self.shares}
        return any(timer_id.startswith(prefix) and self.pending(prefix) >= maxima[prefix] for prefix in maxima)

    def _is_due(self, timer: dict[str, Any], now_ns: int) -> bool:
        return timer["state"] == "running" and timer["due_at_ms"] * 1_000_000 <= now_ns

    def _fire_if_overdue(self, timer_id: str, now_ns: int) -> None:
        timer = self.timers.get(timer_id)
        if timer is not None and self._is_due(timer, now_ns):
            timer.update(state="fired", remaining_ms=0, ended_at_ms=ceil_ms(now_ns))
            self._happened("fired", timer, now_ns)

    def _happened(self, kind: str, timer: dict[str, Any], now_ns: int, key: str | None = None) -> None:
        timer["version"] += 1
        if key is not None:
            timer["keys"].append(key)
        at_ms = ceil_ms(now_ns)
        if kind != "started":
            self.log_drafts()
        event = {
            "seq": len(events_of(self.log)) + 1,
            "kind": kind,
            "at_ms": at_ms,
            "id": timer["id"],
            "spec_place": timer["spec_place"],
            "timer": self._view(timer, at_ms * 1_000_000)[1],
        }
        self._log(event)
        if timer["state"] not in PENDING:
            for held in self.queues.values():
                held.add(event["place"])

    def _draft(self, queue: str, part: str, body: Any, now_ns: int) -> None:
        self.drafts.append({"at_ms": ceil_ms(now_ns), "queue": queue, "part": part, "body": body})

    def log_drafts(self) -> None:
        """What queues do is logged before the next change of a timer, a step of retention, or with the commit."""
        for draft in self.drafts:
            this_turn = self.log[self.turn_begins_at :]
            self._log({**draft, "at_ms": max([draft["at_ms"], *(entry["at_ms"] for entry in this_turn)])})
        self.drafts.clear()

    def _log(self, entry: dict[str, Any]) -> None:
        entry["place"] = len(self.log) + 1
        self.log.append(entry)

    def _remaining_ms(self, timer: dict[str, Any], now_ns: int) -> int:
        """Rounded up, but never more than the whole countdown."""
        if timer["state"] != "running":
            return int(timer["remaining_ms"])
        return int(max(0, min(timer["due_at_ms"] - floor_ms(now_ns), timer["duration_ms"])))

    def _view(self, timer: dict[str, Any], now_ns: int) -> Outcome:
        view = {name: value for name, value in timer.items() if name not in ("keys", "payload", "spec_place")}
        view["remaining_ms"] = self._remaining_ms(timer, now_ns)
        view["payload"] = json.loads(timer["payload"])
        return "timer", view


def copied(kept: Kept) -> Kept:
    """The same once more, which may change. Entries of a log never do."""
    timers, log, horizon, queues = kept
    changeable = {timer_id: {**timer, "keys": list(timer["keys"])} for timer_id, timer in timers.items()}
    return changeable, list(log), horizon, {queue: set(places) for queue, places in queues.items()}


def events_of(log: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [entry for entry in log if "seq" in entry]


def last_places(log: list[dict[str, Any]]) -> dict[str, int]:
    """The place of the last event of each id."""
    return {event["id"]: event["place"] for event in events_of(log)}


def needed_by_queues(log: list[dict[str, Any]], queues: set[str]) -> set[int]:
    """The entries of queues from their last complete snapshot on, and the starts of the server behind the first."""
    needed = set()
    reach_back_to = []
    for queue in queues:
        begins, first = 0, None
        entries = [entry for entry in log if entry.get("queue") == queue]
        for entry in entries:
            if entry["part"] == "first":
                first = entry["place"]
            elif entry["part"] == "last":
                begins, first = first or begins, None
            elif entry["part"] in ("whole", "gone"):
                begins, first = entry["place"] + (entry["part"] == "gone"), None
        needed |= {entry["place"] for entry in entries if entry["place"] >= begins}
        reach_back_to.append(min(entry["place"] for entry in entries if entry["place"] >= begins))
    starts = {entry["place"] for entry in log if "is_start" in entry}
    return needed | {place for place in starts if queues and place > min(reach_back_to)}


def _amount_ms(asked: dict[str, Any]) -> int:
    return int(asked["hours"] * 3_600_000 + asked["minutes"] * 60_000 + asked["seconds"] * 1000)
