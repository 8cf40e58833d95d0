"""Plans once more, as plainly as they can be told: all moments of a rule are in a list, and each timer is a dict.

It is what the plans of the core are compared with, so it shares nothing with them. Times are whole milliseconds; a
timer is due by the timeline or, `by_wall`, by the wall clock, which is `ahead_ms` ahead.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

Timer = dict[str, Any]
Plan = dict[str, Any]
CAUGHT_UP = {"none": 0, "last": 1, "all": 100}


def timer_id(plan: str, moment_ms: int) -> str:
    moment = datetime.fromtimestamp(moment_ms // 1000, UTC)
    fraction = f".{moment_ms % 1000:03}" if moment_ms % 1000 else ""
    return f"{plan}~{moment:%Y%m%dT%H%M%S}{fraction}Z"


class NaivePlans:
    """`cron` has all moments of each cron rule. `rows` are the skipped moments that were told of, in order."""

    def __init__(self, cron: Mapping[str, Sequence[int]]) -> None:
        self.cron = cron
        self.plans: dict[str, Plan] = {}
        self.timers: dict[str, Timer] = {}
        self.rows: list[tuple[str, int, int, int, str]] = []
        self.now_ms = 0
        self.ahead_ms = 0

    def clock(self, by_wall: bool) -> int:
        return self.now_ms + (self.ahead_ms if by_wall else 0)

    def copied(self) -> tuple[dict[str, Plan], dict[str, Timer], list[tuple[str, int, int, int, str]]]:
        """All that a crash brings back, as it is now."""
        return deepcopy((self.plans, self.timers, self.rows))

    # Rules: a position is the moment, the step that ends there, and its round

    def all_after(self, plan: Plan, at: tuple[int, int, int]) -> Iterator[tuple[int, int, int]]:
        asked = plan["asked"]
        moment, step, number = at
        while True:
            if asked["steps"]:
                number += step + 1 == len(asked["steps"])
                step = (step + 1) % len(asked["steps"])
                moment += asked["steps"][step]
                if asked["count"] and number > asked["count"]:
                    return
            elif asked["every_ms"]:
                moment += asked["every_ms"]
            else:
                moment = next(m for m in self.cron[asked["cron"]] if m > moment)
            if asked["until_ms"] is not None and moment > asked["until_ms"]:
                return
            yield moment, step, number

    def origin(self, plan: Plan, grid_ms: int | None) -> tuple[int, int, int]:
        """Where the rule begins so that its first moment is the first after now."""
        asked, now_ms = plan["asked"], self.clock(plan["by_wall"])
        from_ms = asked["from_ms"]
        if asked["steps"]:
            return max(now_ms, from_ms or 0), -1, 1
        if asked["cron"]:
            return max(now_ms, (from_ms or 0) - 1), 0, 1
        grid_ms = from_ms if grid_ms is None else grid_ms
        if grid_ms is None:
            return now_ms, 0, 1
        while grid_ms > now_ms:
            grid_ms -= asked["every_ms"]
        while grid_ms + asked["every_ms"] <= now_ms:
            grid_ms += asked["every_ms"]
        return (grid_ms if from_ms is None else max(grid_ms, from_ms - asked["every_ms"])), 0, 1

    # The chain

    def go_on(self, name: str, is_overlap: bool = False) -> None:
        plan = self.plans[name]
        asked, now_ms = plan["asked"], self.clock(plan["by_wall"])
        plan["pending"] = None
        if self.is_counted_out(plan):
            plan["state"] = "finished"
            return
        passed, following = [], None
        for position in self.all_after(plan, plan["at"]):
            if position[0] > now_ms:
                following = position
                break
            passed.append(position)
        kept = passed
        if is_overlap or (passed and passed[0][0] > plan["kept_until"]):
            most = 0 if is_overlap else CAUGHT_UP[asked["missed"]]
            kept = [p for p in passed[len(passed) - most :] if p[0] >= now_ms - asked["window_ms"]] if most else []
            if len(passed) <= most:
                kept = [p for p in passed if p[0] >= now_ms - asked["window_ms"]]
            skipped = [p for p in passed if p not in kept]
            if skipped:
                self.tell(name, skipped[0][0], skipped[-1][0], len(skipped), "overlap" if is_overlap else "missed")
            if kept:
                plan["kept_until"] = kept[-1][0]
        begun = kept[0] if kept else following
        if begun is None:
            plan["state"] = "finished"
        else:
            self.begin(name, begun)

    def is_counted_out(self, plan: Plan, more: int = 0) -> bool:
        count = plan["asked"]["count"]
        return bool(count and not plan["asked"]["steps"] and plan["fired"] + plan["overtaken"] + more >= count)

    def overtake(self, name: str) -> None:
        self.plans[name]["overtaken"] += 1
        self.go_on(name)

    def tell(self, name: str, first: int, last: int, count: int, reason: str) -> None:
        self.plans[name]["missed" if reason == "missed" else "skipped"] += count
        self.rows.append((name, first, last, count, reason))

    def begin(self, name: str, position: tuple[int, int, int]) -> None:
        plan = self.plans[name]
        moment = position[0]
        while self.is_pending(timer_id(name, moment)):
            moment += 1
        plan.update(at=position, pending=timer_id(name, moment), is_moved=False)
        self.start(timer_id(name, moment), position[0], plan["by_wall"])

    def start(self, id: str, due_ms: int, by_wall: bool) -> None:
        version = self.timers[id]["version"] + 1 if id in self.timers else 1
        self.timers[id] = {"state": "running", "due_ms": due_ms, "by_wall": by_wall, "version": version, "left_ms": 0}
        self.timers[id]["wall_ms"] = due_ms if by_wall else None
        self.timers[id]["label"] = self.plans[id.partition("~")[0]]["asked"]["label"]

    def is_pending(self, id: str) -> bool:
        return id in self.timers and self.timers[id]["state"] in ("running", "paused")

    def end(self, id: str, state: str) -> None:
        timer = self.timers[id]
        timer.update(state=state, version=timer["version"] + 1, ended_ms=self.now_ms)
        name = id.partition("~")[0]
        plan = self.plans.get(name)
        if plan is None or plan["pending"] != id:
            return
        plan[state] += 1
        if plan["asked"]["steps"]:
            plan["at"] = (timer["due_ms"] if state == "fired" else self.now_ms, *plan["at"][1:])
        plan["pending"] = None
        if plan["state"] == "active":
            self.go_on(name, is_overlap=plan["is_moved"] and plan["asked"]["overlap"] == "skip")

    # Time

    def tick(self) -> None:
        """All that is due by now."""
        while True:
            due = [
                (t["due_ms"] - self.ahead_ms * t["by_wall"], known)
                for known, t in self.timers.items()
                if self.is_due(t)
            ]
            if due:
                self.end(min(due)[1], "fired")
                continue
            name = next(filter(self.is_to_overtake, self.plans), None)
            if name is None:
                return
            self.overtake(name)

    def is_due(self, timer: Timer) -> bool:
        return timer["state"] == "running" and bool(timer["due_ms"] <= self.clock(timer["by_wall"]))

    def is_to_overtake(self, name: str) -> bool:
        plan = self.plans[name]
        is_moved = plan["is_moved"] and plan["pending"] is not None and plan["state"] == "active"
        is_time = plan["asked"]["overlap"] == "allow" and plan["at"][0] <= self.clock(plan["by_wall"])
        is_last = self.is_counted_out(plan, 1) or next(self.all_after(plan, plan["at"]), None) is None
        return bool(is_moved and is_time and not is_last)

    def bring_up(self, name: str) -> None:
        """What is due of one plan."""
        while name in self.plans:
            pending = self.plans[name]["pending"]
            if self.is_to_overtake(name):
                self.overtake(name)
            elif pending is not None and self.is_due(self.timers[pending]):
                self.end(pending, "fired")
            else:
                return

    # Requests

    def put(self, name: str, asked: dict[str, Any], is_paused: bool | None) -> bool:
        """False where the rule never comes."""
        before = self.plans.get(name)
        if before is not None:
            self.bring_up(name)
            if all(before["asked"][what] == asked[what] for what in ("every_ms", "cron", "steps", "from_ms")):
                return self.put_same_moments(name, asked, is_paused)
        plan = {
            "asked": asked,
            "by_wall": asked["cron"] is not None,
            "state": "active",
            "version": 1 if before is None else before["version"] + 1,
            "pending": None,
            "is_moved": False,
            "kept_until": 0,
            "keys": [] if before is None else before["keys"],
            **dict.fromkeys(("fired", "cancelled", "skipped", "missed", "overtaken"), 0),
        }
        plan["at"] = self.origin(plan, None)
        if next(self.all_after(plan, plan["at"]), None) is None:
            return False
        if before is not None:
            self.take_back(name)
            is_paused = before["state"] == "paused" if is_paused is None else is_paused
        self.plans[name] = plan
        if is_paused:
            plan["state"] = "paused"
        else:
            self.go_on(name)
        return True

    def put_same_moments(self, name: str, asked: dict[str, Any], is_paused: bool | None) -> bool:
        """What has no other moments goes on from where it is. False where `until_ms` leaves it none."""
        plan, before = self.plans[name], self.plans[name]["asked"]
        resumed = {**plan, "asked": asked, "at": self.resumed_at(plan)}
        is_left = next(self.all_after({**resumed, "asked": {**asked, "count": None}}, resumed["at"]), None)
        if plan["pending"] is not None:
            is_left = asked["until_ms"] is None or plan["at"][0] <= asked["until_ms"]
        if asked["until_ms"] != before["until_ms"] and not is_left:
            return False
        if is_paused:
            self.pause(name)
        if before != asked:
            plan.update(asked=asked, version=plan["version"] + 1)
            self.adjust(name, resumed, is_paused)
        if is_paused is False:
            self.resume(name)
        return True

    def adjust(self, name: str, resumed: Plan, is_paused: bool | None) -> None:
        plan = self.plans[name]
        count, pending = plan["asked"]["count"], plan["pending"]
        if pending is not None:
            timer = self.timers[pending]
            if self.is_counted_out(plan) or (plan["asked"]["steps"] and count and plan["at"][2] > count):
                self.take_back(name)
                plan["state"] = "finished"
            elif (
                timer["label"] != plan["asked"]["label"]
                and not plan["is_moved"]
                and timer["state"] == "running"
                and timer["due_ms"] == plan["at"][0]
            ):
                self.take_back(name)
                self.begin(name, plan["at"])
            return
        is_over = self.is_counted_out(plan) or next(self.all_after(plan, resumed["at"]), None) is None
        if plan["state"] == "finished" and not is_over:
            plan["state"] = "paused"
            if not is_paused:
                self.resume(name)

    def take_back(self, name: str) -> None:
        pending = self.plans[name]["pending"]
        self.plans[name].update(pending=None, is_moved=False)
        if pending is not None:
            self.end(pending, "cancelled")

    def delete(self, name: str) -> None:
        self.bring_up(name)
        self.take_back(name)
        del self.plans[name]

    def pause(self, name: str) -> None:
        self.bring_up(name)
        plan = self.plans[name]
        if plan["state"] != "active":
            return
        plan["state"] = "paused"
        if not plan["asked"]["steps"]:
            self.take_back(name)
        elif plan["pending"] is not None:
            self.set_paused(plan["pending"], True)

    def resume(self, name: str) -> None:
        self.bring_up(name)
        plan = self.plans[name]
        if plan["state"] != "paused":
            return
        plan["state"] = "active"
        if plan["pending"] is not None:
            self.set_paused(plan["pending"], False)
            return
        plan["at"] = self.resumed_at(plan)
        self.go_on(name)

    def resumed_at(self, plan: Plan) -> tuple[int, int, int]:
        if plan["asked"]["steps"]:
            return (max(self.now_ms, plan["asked"]["from_ms"] or 0), *plan["at"][1:])
        return self.origin(plan, plan["at"][0])

    def skip(self, name: str, key: str | None) -> bool:
        """False where there is nothing to skip."""
        self.bring_up(name)
        plan = self.plans[name]
        if key is not None and key in plan["keys"]:
            return True
        if plan["state"] != "active" or plan["pending"] is None:
            return False
        is_overlap = plan["is_moved"] and plan["asked"]["overlap"] == "skip"
        self.remember(plan, key)
        self.tell(name, plan["at"][0], plan["at"][0], 1, "skip")
        self.take_back(name)
        if plan["asked"]["steps"]:
            plan["at"] = (self.now_ms, *plan["at"][1:])
        self.go_on(name, is_overlap)
        return True

    def run(self, name: str, key: str | None) -> str | None:
        self.bring_up(name)
        plan = self.plans[name]
        if key is not None and key in plan["keys"]:
            return None
        self.remember(plan, key)
        moment = self.clock(plan["by_wall"])
        while timer_id(name, moment) in self.timers:
            moment += 1
        self.start(timer_id(name, moment), self.now_ms, by_wall=False)
        return timer_id(name, moment)

    def remember(self, plan: Plan, key: str | None) -> None:
        if key is not None:
            plan["keys"].append(key)

    # Requests about timers

    def set_paused(self, id: str, is_paused: bool) -> None:
        timer = self.timers[id]
        if (timer["state"] == "paused") == is_paused:
            return
        if is_paused:
            timer.update(state="paused", left_ms=timer["due_ms"] - self.clock(timer["by_wall"]), by_wall=False)
        else:
            timer.update(state="running", due_ms=self.now_ms + timer["left_ms"])
        timer["version"] += 1

    def change(self, id: str, do: str, by_ms: int) -> bool:
        """A request about a timer; False where it is refused."""
        if self.is_due(self.timers[id]):
            self.end(id, "fired")
        timer = self.timers[id]
        if timer["state"] not in ("running", "paused"):
            return False
        if do == "cancel":
            self.end(id, "cancelled")
            return True
        left_ms = timer["left_ms"] if timer["state"] == "paused" else timer["due_ms"] - self.clock(timer["by_wall"])
        if do == "extend" and left_ms + by_ms <= 0:
            return False
        before = timer["version"]
        if do in ("pause", "resume"):
            self.set_paused(id, do == "pause")
        else:
            timer["version"] += 1
            timer["left_ms" if timer["state"] == "paused" else "due_ms"] += by_ms
        plan = self.plans.get(id.partition("~")[0])
        if timer["version"] > before and plan is not None and plan["pending"] == id and not plan["asked"]["steps"]:
            plan["is_moved"] = True
        return True

    def forget(self, retention_ms: int) -> None:
        for known, timer in list(self.timers.items()):
            if not self.is_pending(known) and timer["ended_ms"] + retention_ms <= self.now_ms:
                del self.timers[known]
