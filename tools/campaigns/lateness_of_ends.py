"""How late ends were heard, by the clock of the clients, which no server knows."""

from collections.abc import Sequence

from msgspec import UNSET

from campaigns.facts import Facts, position


def latenesses_s(
    facts: Facts, forgiven: Sequence[tuple[float, float]] = (), recovery_s: float = 0.0
) -> dict[str, float]:
    """By how much each timer that nobody has changed was heard of too late, at the least.

    It was due its duration after its start was acknowledged, or before. `forgiven` and `recovery_s` are those of
    `expected_s`.
    """
    late_s: dict[str, float] = {}
    for timer_id, life in facts.lives.items():
        acknowledged_s = _acknowledged_s(facts, timer_id)
        if acknowledged_s is None or [event.kind for event in life] != ["started", "fired"]:
            continue
        end = life[-1]
        heard_s = facts.first_heard_s.get(position(end))
        if heard_s is None or end.timer.at is not UNSET:
            continue
        due_s = acknowledged_s + end.timer.duration_ms / 1000
        late_s[timer_id] = max(heard_s - expected_s(due_s, heard_s, forgiven, recovery_s), 0.0)
    return late_s


def expected_s(due_s: float, heard_s: float, forgiven: Sequence[tuple[float, float]], recovery_s: float) -> float:
    """When an end was to be heard, which is allowed to take `recovery_s`.

    Where it was due during a time that is forgiven, at the end of it; and so wherever the next such time began before
    it was heard and while it was still allowed to take its time.
    """
    for from_s, until_s in forgiven:
        if from_s <= min(due_s + recovery_s, heard_s) and due_s <= until_s:
            due_s = until_s
    return due_s


def _acknowledged_s(facts: Facts, timer_id: str) -> float | None:
    """When the start of a timer was acknowledged first."""
    moments_s = [
        one.answered.at_s
        for one in facts.tries_of.get(timer_id, [])
        if one.answered is not None and one.timer is not None and one.asked.method == "timer.start"
    ]
    return min(moments_s, default=None)
