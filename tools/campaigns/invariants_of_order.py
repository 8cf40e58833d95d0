"""What follows what: in the log, in the life of a timer, and at those who watch."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from itertools import accumulate, pairwise

from campaigns.facts import Facts, position
from timer_protocol.messages import Event

ENDS_A_STOP = {"resumed", "restarted"}

MAY_FOLLOW = {
    None: {"started"},
    "running": {"paused", "extended", "restarted", "cancelled", "fired"},
    "paused": {"resumed", "extended", "restarted", "cancelled"},
    "fired": {"restarted"},
    "cancelled": {"restarted"},
}
"""The kinds of events that may come after each state, said once more than in the server's own table."""


def the_log_is_whole(facts: Facts) -> Iterator[str]:
    """`seq` rises by one from 1, by any number where others' events are between, and time never goes back: so in each
    log.
    """
    for log in facts.logs.values():
        if log[0].seq != 1 and not facts.own_prefix:
            yield f"the log begins with seq {log[0].seq}; expected 1"
        for before, event in pairwise(log):
            if event.seq <= before.seq or (event.seq != before.seq + 1 and not facts.own_prefix):
                yield f"timer {event.timer.id} seq {event.seq} follows seq {before.seq}; expected {before.seq + 1}"
            if event.at_ms < before.at_ms:
                back_ms = before.at_ms - event.at_ms
                yield (
                    f"timer {event.timer.id} seq {event.seq} is {back_ms} ms before seq {before.seq}; expected no less"
                )


def lives_are_possible(facts: Facts) -> Iterator[str]:
    """Each change but an end by time is one that the timer's state permits, and makes the next version."""
    for timer_id, life in facts.lives.items():
        if life[0].kind != "started" or life[0].timer.version != 1:
            yield f"timer {timer_id} begins with {life[0].kind} at seq {life[0].seq}; expected started, version 1"
        for before, event in pairwise(life):
            if event.kind != "fired" and event.kind not in MAY_FOLLOW[before.timer.state]:
                yield f"timer {timer_id} seq {event.seq}: {event.kind} of a timer that is {before.timer.state}"
            if event.timer.version != before.timer.version + 1:
                yield (
                    f"timer {timer_id} seq {event.seq} has version {event.timer.version}; "
                    f"expected {before.timer.version + 1}"
                )


def one_fired_per_run(facts: Facts) -> Iterator[str]:
    """A timer fires at most once for its start, and once for each restart."""
    for timer_id, runs in facts.runs.items():
        for run in runs:
            if len(run.ends) > 1:
                seqs = [event.seq for event in run.ends]
                yield f"timer {timer_id} fired at seq {seqs} in the run from seq {run.events[0].seq}; expected once"


def no_fired_after_a_stop(facts: Facts) -> Iterator[str]:
    """No `fired` follows a cancel or pause, least of all one that was acknowledged, until a resume or restart."""
    for timer_id, life in facts.lives.items():
        stops = {event.timer.version: f"seq {event.seq}" for event in life if _is_stopped(event.timer.state)}
        for one in facts.tries_of.get(timer_id, []):
            if one.timer is not None and _is_stopped(one.timer.state):
                stops[one.timer.version] = f"the reply to {one.asked.method}"
        for version, told_by in stops.items():
            fired = _fired_since(life, version)
            if fired is not None:
                yield f"timer {timer_id} seq {fired.seq}: fired, though {told_by} says that it is stopped"


def watchers_hear_all_once_in_order(facts: Facts) -> Iterator[str]:
    """Whoever watches is handed every event of each log once, in the order of `seq`, however often it resumes."""
    for watcher, after in facts.watching.items():
        expected = {position(event): event for event in facts.log if event.seq > after}
        heard = [one.event for one in facts.heard if one.watcher == watcher]
        reached: dict[str, int] = {}
        for event in heard:
            if event.seq <= reached.get(event.log, 0):
                yield f"{watcher} heard timer {event.timer.id} seq {event.seq} after seq {reached[event.log]}"
            reached[event.log] = event.seq
        for _, seq in sorted(expected.keys() - {position(event) for event in heard}):
            yield f"{watcher} never heard seq {seq}; expected every event after {after}"
        for event in heard:
            if expected.get(position(event)) != event:
                yield f"{watcher} heard {event.kind} of timer {event.timer.id} as seq {event.seq}; the log has another"


def replies_are_current(facts: Facts) -> Iterator[str]:
    """No reply shows an older version of a timer than anybody had been told of when it was asked for."""
    told: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for one in facts.tries:
        if one.answered is not None and one.timer is not None:
            told[one.timer_id].append((one.answered.at_s, one.timer.version))
    for heard in facts.heard:
        told[heard.event.timer.id].append((heard.at_s, heard.event.timer.version))
    for timer_id, tries in facts.tries_of.items():
        moments = sorted(told[timer_id])
        newest = [0, *accumulate((version for _, version in moments), max)]
        for one in tries:
            known = newest[bisect_left(moments, (one.asked.at_s, 0))]
            if one.timer is not None and one.timer.version < known:
                yield (
                    f"timer {timer_id}: {one.asked.method} was answered with version {one.timer.version}; "
                    f"expected {known} at least, which had been told before it was asked"
                )


def _is_stopped(state: str) -> bool:
    return state in ("paused", "cancelled")


def _fired_since(life: list[Event], version: int) -> Event | None:
    """The first end by time at this version or later, if no resume or restart comes before it."""
    for event in life:
        if event.timer.version < version or (event.timer.version == version and event.kind != "fired"):
            continue
        if event.kind in ENDS_A_STOP:
            return None
        if event.kind == "fired":
            return event
    return None
