"""What requests have done: all that was acknowledged, nothing that was not asked for, and nothing twice."""

from collections import Counter
from collections.abc import Iterator

from msgspec import UNSET
from msgspec.structs import replace

from campaigns.facts import Facts, Try
from timer_protocol.durations import total_ms
from timer_protocol.messages import Event, EventKind, Timer

MAY_BE_REFUSED = {"wrong_state"}
"""What a request of the load may be answered with for good: its timer had ended before."""

LATE = "invalid_params"
"""The same where a timer is started for a moment of the wall clock: that has passed."""

WILL_BE_ASKED_AGAIN = {"shutting_down", "storage_failed"}

ASKED_BY: dict[EventKind, str] = {
    "started": "timer.start",
    "paused": "timer.pause",
    "resumed": "timer.resume",
    "extended": "timer.extend",
    "restarted": "timer.restart",
    "cancelled": "timer.cancel",
}


def acknowledged_starts_are_kept(facts: Facts) -> Iterator[str]:
    """Acknowledged starts = fired + pending + cancelled: each is in the list, and its start in the log."""
    for timer_id in facts.acknowledged:
        if timer_id not in facts.listed:
            yield f"timer {timer_id} was acknowledged; expected it in the list, where it is not"
        life = facts.lives.get(timer_id)
        if not life or life[0].kind != "started":
            yield f"timer {timer_id} was acknowledged; expected its start in the log, where it is not"


def acknowledged_changes_are_kept(facts: Facts) -> Iterator[str]:
    """What a reply has told of a timer is what the log has at that version; what a key has done is there."""
    versions = {(event.timer.id, event.timer.version): event for event in facts.log}
    for one in facts.tries:
        if one.timer is None:
            continue
        event = versions.get((one.timer_id, one.timer.version))
        if event is None:
            yield (
                f"timer {one.timer_id}: {one.asked.method} was answered with version {one.timer.version}; "
                "expected it in the log, where it is not"
            )
        elif _still(event.timer) != _still(one.timer):
            yield (
                f"timer {one.timer_id} seq {event.seq}: {one.asked.method} was answered with {_still(one.timer)}; "
                f"expected the same of version {one.timer.version} in the log, which has {_still(event.timer)}"
            )
    for timer_id, tries in facts.tries_of.items():
        life = facts.lives.get(timer_id, [])
        acknowledged = [one for one in tries if one.timer is not None]
        for by_ms in (_amounts(acknowledged) - _extensions(life)).elements():
            yield f"timer {timer_id}: an extension by {by_ms} ms was acknowledged; expected it in the log"
        missing = len(_keys(acknowledged, "timer.restart")) - _count(life, "restarted")
        if missing > 0:
            yield f"timer {timer_id}: expected {missing} more restarts in the log, as they were acknowledged"


def nothing_is_invented(facts: Facts) -> Iterator[str]:
    """Every timer and every change that there is was asked for, as it was asked for."""
    for timer_id in sorted({*facts.listed, *facts.lives}):
        asked = facts.tries_of.get(timer_id, [])
        starts = [one.asked.params for one in asked if one.asked.method == "timer.start"]
        timer = facts.listed.get(timer_id) or facts.lives[timer_id][0].timer
        if not any(_is_of(timer, params) for params in starts):
            yield f"timer {timer_id} is there with {timer.seconds} s and {timer.payload!r}; nobody asked for that"
        methods = {one.asked.method for one in asked}
        for event in facts.lives.get(timer_id, []):
            if event.kind != "fired" and event.cause is UNSET and ASKED_BY[event.kind] not in methods:
                yield f"timer {timer_id} seq {event.seq}: {event.kind}, but nobody asked for it"


def a_repeat_has_one_effect(facts: Facts) -> Iterator[str]:
    """A repeated id starts one timer, a repeated key makes one change."""
    for timer_id, life in facts.lives.items():
        tries = facts.tries_of.get(timer_id, [])
        starts = [event.seq for event in life if event.kind == "started"]
        if len(starts) > 1:
            yield f"timer {timer_id} was started at seq {starts}; expected one start for one id"
        for by_ms in (_extensions(life) - _amounts(tries)).elements():
            yield f"timer {timer_id} was extended by {by_ms} ms once more than there were keys; expected once a key"
        keys, restarts = len(_keys(tries, "timer.restart")), _count(life, "restarted")
        if restarts > keys:
            yield f"timer {timer_id} was restarted {restarts} times for {keys} keys; expected once a key"


def list_and_log_agree(facts: Facts) -> Iterator[str]:
    """The list shows every timer as its last event left it."""
    for timer_id, timer in facts.listed.items():
        life = facts.lives.get(timer_id)
        if life and _still(life[-1].timer) != _still(timer):
            yield (
                f"timer {timer_id} is listed as {_still(timer)}; "
                f"expected what seq {life[-1].seq} made it: {_still(life[-1].timer)}"
            )
    for timer_id in facts.lives.keys() - facts.listed.keys():
        yield f"timer {timer_id} has events up to seq {facts.lives[timer_id][-1].seq}; expected it in the list"


def clients_notice_nothing(facts: Facts) -> Iterator[str]:
    """No call fails, goes unanswered or is refused for anything but the state of its timer."""
    for failure in facts.failed:
        yield f"{failure.by} failed: {failure.what}"
    for tries in facts.calls.values():
        last = tries[-1]
        asked = f"{last.asked.by} asked {last.asked.method} of timer {last.timer_id}"
        if last.answered is None:
            yield f"{asked} {len(tries)} times; expected a reply in the end"
        elif last.error is not None:
            expected = MAY_BE_REFUSED | ({LATE} if facts.asked_moment(last) else set())
            if last.error not in expected:
                yield f"{asked} and got {last.error}; expected a timer, or one of {sorted(expected)}"


def _still(timer: Timer) -> Timer:
    """A timer without what time alone changes."""
    return replace(timer, remaining_ms=0) if timer.state == "running" else timer


def _is_of(timer: Timer, params: dict[str, object]) -> bool:
    return all(getattr(timer, name) == value for name, value in params.items() if name != "past")


def _keys(tries: list[Try], method: str) -> set[str]:
    return {one.asked.params["key"] for one in tries if one.asked.method == method}


def _amounts(tries: list[Try]) -> Counter[int]:
    """By how much each key wants to extend, in milliseconds."""
    wanted = {one.asked.params["key"]: one.asked.params for one in tries if one.asked.method == "timer.extend"}
    return Counter(
        total_ms(params.get("hours", 0), params.get("minutes", 0), params.get("seconds", 0))
        for params in wanted.values()
    )


def _extensions(life: list[Event]) -> Counter[int]:
    """By how much the events have extended, in milliseconds."""
    durations_ms = [event.timer.duration_ms for event in life]
    return Counter(
        event.timer.duration_ms - before_ms
        for before_ms, event in zip(durations_ms, life[1:], strict=False)
        if event.kind == "extended" and event.cause is UNSET
    )


def _count(life: list[Event], kind: EventKind) -> int:
    return sum(event.kind == kind for event in life)
