"""Queues once more, as plainly as they can be told: each end that a queue was ever given is a dict in a list.

It is what the queues of the core are compared with, so it shares nothing with them. Nothing is ever taken out of the
lists: an end that is done with is `acked` or `dropped`. The numbers of receipts are the core's choice, and told.
Times are nanoseconds; what is kept is in whole milliseconds.
"""

from typing import Any

End = dict[str, Any]
HELD = ("ready", "leased", "delayed", "dead")
GRACE_MS = 15_000


def floor_ms(now_ns: int) -> int:
    return now_ns // 1_000_000


def ceil_ms(now_ns: int) -> int:
    return -(-now_ns // 1_000_000)


class NaiveQueue:
    """`settled` has the number of each lease that an ack or a nack has ended; `takes` the takes with a key.

    `to_fill` are the ends that were there before the queue and have yet to be taken up. Meanwhile those that happen are
    `is_later`.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.version = 1
        self.ends: list[End] = []
        self.settled: dict[int, str] = {}
        self.takes: dict[str, tuple[list[int], int]] = {}
        self.to_fill: list[dict[str, Any]] | None = None
        self.deaths = 0

    def in_state(self, *states: str) -> list[End]:
        return sorted((end for end in self.ends if end["state"] in states), key=lambda end: end["place"])

    def count(self, *states: str) -> int:
        return len(self.in_state(*states))

    def matches(self, event: dict[str, Any]) -> bool:
        return event["id"].startswith(self.settings["prefix"]) and event["state"] in self.settings["states"]

    def add(self, event: dict[str, Any], is_later: bool, state: str = "ready") -> None:
        self.ends.append(
            {
                "place": event["place"],
                "size": event["size"],
                "kept_since_ms": event["at_ms"],
                "state": state,
                "is_later": is_later,
                "number": None,
                "attempts": 0,
                "is_open": False,
                "reason": None,
                "at_ms": 0,
                "lease_ms": 0,
                "is_recent": False,
                "death": 0,
            }
        )

    def offer(self, event: dict[str, Any]) -> None:
        if self.matches(event):
            self.add(event, is_later=self.to_fill is not None)

    def fill(self, scanned_to: int, is_done: bool) -> None:
        assert self.to_fill is not None
        for event in [event for event in self.to_fill if event["place"] <= scanned_to]:
            waits = self.in_state("ready", "delayed")
            has_room = len(waits) < self.settings["max_backlog"]
            has_bytes = sum(end["size"] for end in waits) + event["size"] <= self.settings["max_bytes"]
            self.add(event, is_later=False, state="ready" if has_room and has_bytes else "dropped")
            self.to_fill.remove(event)
        if is_done:
            self.to_fill = None
            for end in self.ends:
                end["is_later"] = False

    # Requests

    def remembered(self, key: str | None, now_ns: int) -> list[End] | None:
        """What the take with this key still leases; None if it is not remembered."""
        if key not in self.takes:
            return None
        numbers, until_ms = self.takes[key]
        leased = sorted((e for e in self.in_state("leased") if e["number"] in numbers), key=lambda e: e["number"])
        return leased if leased or floor_ms(now_ns) < until_ms else None

    def first_ready(self, most: int, most_bytes: int, now_ns: int) -> list[End]:
        self.run_out(now_ns)
        self.wake(now_ns)
        found: list[End] = []
        for end in [end for end in self.in_state("ready") if not end["is_later"]][:most]:
            if found and sum(e["size"] for e in found) + end["size"] > most_bytes:
                break
            found.append(end)
        return found

    def lease(self, ends: list[End], numbers: list[int], key: str | None, now_ns: int) -> None:
        until_ms = ceil_ms(now_ns) + self.settings["lease_ms"]
        for end, number in zip(ends, numbers, strict=True):
            end["attempts"] += 1
            end["is_open"] = True
            self.grant(end, number, until_ms, self.settings["lease_ms"])
        if key is not None and ends:
            self.takes[key] = (numbers, until_ms)

    def grant(self, end: End, number: int, until_ms: int, lease_ms: int) -> None:
        end.update(state="leased", number=number, at_ms=until_ms, lease_ms=lease_ms, is_recent=True, death=0)

    def opened(self, number: int) -> End | None:
        return next((end for end in self.in_state(*HELD) if end["number"] == number and end["is_open"]), None)

    def ack(self, numbers: list[int]) -> tuple[list[int], list[int]]:
        for end in filter(None, map(self.opened, dict.fromkeys(numbers))):
            end["state"] = "acked"
            self.settled[end["number"]] = "ack"
        return self.outcome(numbers, "ack")

    def nack(
        self, numbers: list[int], then: str, delay_ms: int | None, reason: str | None, now_ns: int
    ) -> tuple[list[int], list[int]]:
        for end in filter(None, map(self.opened, dict.fromkeys(numbers))):
            most = self.settings["max_deliveries"]
            is_dead = then == "dead" or (then == "retry" and most and end["attempts"] >= most)
            delay = delay_ms
            if delay is None:
                steps = self.settings["backoff_ms"]
                delay = int(steps[min(max(end["attempts"], 1), len(steps)) - 1] * 1.1) if then == "retry" else 0
            if then == "return":
                end["attempts"] = max(end["attempts"] - 1, 0)
            if reason is not None:
                end["reason"] = reason
            end["is_open"] = False
            self.settled[end["number"]] = "nack"
            if is_dead:
                self.die(end, end["reason"], ceil_ms(now_ns))
            else:
                end.update(
                    state="delayed" if delay else "ready", at_ms=ceil_ms(now_ns) + delay if delay else 0, death=0
                )
        return self.outcome(numbers, "nack")

    def outcome(self, numbers: list[int], how: str) -> tuple[list[int], list[int]]:
        unique = list(dict.fromkeys(numbers))
        done = [number for number in unique if self.settled.get(number) == how]
        return done, [number for number in unique if number not in done]

    def renew(self, numbers: list[int], lease_ms: int | None, now_ns: int) -> tuple[list[int], list[int]]:
        lease_ms = self.settings["lease_ms"] if lease_ms is None else lease_ms
        unique = list(dict.fromkeys(numbers))
        leased = [number for number in unique if self.opened(number)]
        for number in leased:
            end = self.opened(number)
            assert end is not None
            self.grant(end, number, ceil_ms(now_ns) + lease_ms, lease_ms)
        return leased, [number for number in unique if number not in leased]

    def dead(self) -> list[End]:
        return sorted(self.in_state("dead"), key=lambda end: end["death"])

    def revive(self, numbers: list[int], now_ns: int) -> None:
        for end in [end for end in self.dead() if end["number"] in numbers]:
            end.update(state="ready", attempts=0, at_ms=0, death=0, kept_since_ms=ceil_ms(now_ns))

    def drop(self, numbers: list[int]) -> None:
        for end in [end for end in self.dead() if end["number"] in numbers]:
            end["state"] = "dropped"

    # Time

    def step(self, now_ns: int) -> None:
        self.run_out(now_ns)
        self.wake(now_ns)
        self.expire(now_ns)
        while self.dead() and (
            self.count("dead") > self.settings["max_dead"]
            or self.dead()[0]["at_ms"] + self.settings["keep_ms"] <= floor_ms(now_ns)
        ):
            self.dead()[0]["state"] = "dropped"

    def run_out(self, now_ns: int) -> None:
        over = [end for end in self.in_state("leased") if end["at_ms"] <= floor_ms(now_ns)]
        for end in sorted(over, key=lambda end: end["number"]):
            if 0 < self.settings["max_deliveries"] <= end["attempts"]:
                self.die(end, "the lease ran out", ceil_ms(now_ns))
            else:
                end.update(state="ready", at_ms=0)

    def wake(self, now_ns: int) -> None:
        for end in self.in_state("delayed"):
            if end["at_ms"] <= floor_ms(now_ns):
                end.update(state="ready", at_ms=0)

    def expire(self, now_ns: int) -> None:
        while True:
            waits = self.in_state("ready", "delayed")
            old = sorted((e for e in waits if not e["is_later"]), key=lambda e: (e["kept_since_ms"], e["place"]))
            is_over = len(waits) > self.settings["max_backlog"] or (
                sum(end["size"] for end in waits) > self.settings["max_bytes"]
            )
            if not old or not (is_over or old[0]["kept_since_ms"] + self.settings["keep_ms"] <= floor_ms(now_ns)):
                return
            self.die(old[0], "expired", ceil_ms(now_ns))

    def die(self, end: End, reason: str | None, at_ms: int) -> None:
        self.deaths += 1
        end.update(state="dead", reason=reason, at_ms=at_ms, death=self.deaths)

    def server_started(self, at_ms: int) -> None:
        for end in self.in_state("leased"):
            if end["is_recent"]:
                end["at_ms"] = max(end["at_ms"], at_ms + min(end["lease_ms"], GRACE_MS))
                end["is_recent"] = False

    def next_due_ms(self) -> int | None:
        """When the passing of time changes something."""
        keep_ms = self.settings["keep_ms"]
        moments = [end["at_ms"] for end in self.in_state("leased", "delayed")]
        moments += [e["kept_since_ms"] + keep_ms for e in self.in_state("ready", "delayed") if not e["is_later"]]
        moments += [end["at_ms"] + keep_ms for end in self.dead()]
        return min(moments, default=None)
