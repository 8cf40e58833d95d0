"""The verdict sees each thing that can go wrong, and nothing where all is well."""

from collections.abc import Callable
from itertools import islice

import pytest

from campaigns.network_audit import Audit
from campaigns.network_load import Outcome, Told, stories
from campaigns.network_verdict import Played, Seen, Verdict, judge
from timer_client import Event, Timer

PREFIX, SEED, STORIES = "load/", 1, 40
DUE_MS = 1000


def timer(timer_id: str, outcome: Outcome) -> Timer:
    return Timer(timer_id, "", outcome.state, 0, 0, 0, outcome.duration_ms, 0, 0, DUE_MS, None, len(outcome.kinds))


class World:
    """A load that got every answer, a server that did all of it, and a watcher that saw it."""

    def __init__(self) -> None:
        begun = list(islice(stories(PREFIX, SEED), STORIES))
        outcomes = {timer_id: outcome for story in begun for timer_id, outcome in story.outcomes.items()}
        self.told = [Told(number, 0.0, last=True) for number in range(STORIES)]
        self.timers = {timer_id: timer(timer_id, outcome) for timer_id, outcome in outcomes.items()}
        told_of = [(timer_id, kind) for timer_id, outcome in outcomes.items() for kind in outcome.kinds]
        self.log = [
            Event("a", seq, kind, DUE_MS, self.timers[timer_id]) for seq, (timer_id, kind) in enumerate(told_of, 1)
        ]
        self.seen = list(self.log)

    def verdict(self) -> Verdict:
        watcher = Seen("watcher", "", self.seen)
        return judge([Played(PREFIX, SEED, self.told)], [watcher], Audit(self.timers, self.log), set())


def repeat_in_the_log(world: World) -> None:
    last = world.log[-1]
    world.log.append(Event(last.log, last.seq + 1, last.kind, last.at_ms, last.timer))
    world.seen = list(world.log)


def lose_a_timer(world: World) -> None:
    world.timers.popitem()


def leave_a_timer(world: World) -> None:
    timer_id, found = world.timers.popitem()
    world.timers[timer_id] = timer(timer_id, Outcome("running", found.duration_ms, ()))


def fire_early(world: World) -> None:
    place = next(place for place, event in enumerate(world.log) if event.kind == "fired")
    event = world.log[place]
    world.log[place] = Event(event.log, event.seq, event.kind, DUE_MS - 1, event.timer)
    world.seen = list(world.log)


def start_by_itself(world: World) -> None:
    stranger = timer("stranger", Outcome("running", 1, ("started",)))
    world.log.append(Event("a", len(world.log) + 1, "started", 0, stranger))
    world.seen = list(world.log)


def skip_a_seq(world: World) -> None:
    last = world.log.pop()
    world.log.append(Event(last.log, last.seq + 1, last.kind, last.at_ms, last.timer))
    world.seen = list(world.log)


def fail_a_call(world: World) -> None:
    world.told[-1] = Told(STORIES - 1, 0.0, error="start: ServerUnreachable")


def miss_an_event(world: World) -> None:
    del world.seen[3]


def see_an_event_twice(world: World) -> None:
    world.seen.append(world.seen[3])


def see_events_out_of_order(world: World) -> None:
    world.seen[3], world.seen[4] = world.seen[4], world.seen[3]


def test_nothing_is_wrong_where_all_is_well() -> None:
    verdict = World().verdict()
    assert (verdict.violations, verdict.lost, verdict.requests) == ([], 0, STORIES)
    assert verdict.timers == len(World().timers) > STORIES


@pytest.mark.parametrize(
    ("harm", "said", "lost"),
    [
        (repeat_in_the_log, "has the events", 1),
        (lose_a_timer, "is gone", 1),
        (leave_a_timer, "but should be", 1),
        (fire_early, "fired early", 1),
        (start_by_itself, "nobody asked for timer stranger", 0),
        (skip_a_seq, "of the log has seq", 0),
        (fail_a_call, "a call failed: start: ServerUnreachable", 0),
        (miss_an_event, "watcher missed event 4", 0),
        (see_an_event_twice, "watcher saw event 4 2 times", 0),
        (see_events_out_of_order, "out of order", 0),
    ],
)
def test_what_is_wrong_is_said(harm: Callable[[World], None], said: str, lost: int) -> None:
    world = World()
    harm(world)
    verdict = world.verdict()
    assert [said in violation for violation in verdict.violations] == [True]
    assert verdict.lost == lost
