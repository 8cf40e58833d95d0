"""Holds what loads and watchers were told against how things stand in the end. Pure: everything is given."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from campaigns.network_audit import Audit
from campaigns.network_load import Outcome, Story, Told, stories
from timer_client import Event, Timer

SHOWN = 5
"""Violations of one kind that are spelled out."""


@dataclass(frozen=True)
class Played:
    """A load, by what its stories follow from, and the answers that it got."""

    prefix: str
    seed: int
    told: Sequence[Told]

    @property
    def stories(self) -> list[Story]:
        """The stories that were begun."""
        return list(islice(stories(self.prefix, self.seed), max((answer.story + 1 for answer in self.told), default=0)))

    @property
    def ended(self) -> set[int]:
        """The numbers of the stories of which every call was answered."""
        return {answer.story for answer in self.told if answer.last}


@dataclass(frozen=True)
class Seen:
    """A watcher, the prefix that it watches, and what it has seen."""

    name: str
    prefix: str
    events: Sequence[Event]


@dataclass
class Verdict:
    """What is wrong, how many acknowledged timers are not as they should be, and how much was looked at."""

    violations: list[str] = field(default_factory=list)
    lost: int = 0
    requests: int = 0
    timers: int = 0
    events: int = 0


def judge(
    played: Sequence[Played], seen: Sequence[Seen], found: Audit, others: frozenset[str] = frozenset()
) -> Verdict:
    """The verdict. `others` are the ids that belong to no load."""
    verdict = Verdict(events=len(found.events))
    of_timer = by_timer(found.events)
    known = set(others)
    for load in played:
        known.update(*(story.outcomes for story in load.stories))
        _judge_load(load, found, of_timer, verdict)
    verdict.violations += _shortened(f"nobody asked for timer {timer_id}" for timer_id in of_timer.keys() - known)
    verdict.violations += _shortened(_gaps([event.seq for event in found.events]))
    for watcher in seen:
        verdict.violations += _judge_watcher(watcher, found.events)
    return verdict


def by_timer(events: Sequence[Event]) -> dict[str, list[Event]]:
    """The events of each timer, in their order."""
    of_timer: defaultdict[str, list[Event]] = defaultdict(list)
    for event in events:
        of_timer[event.timer.id].append(event)
    return dict(of_timer)


def topic(event: Event) -> str:
    """What the prefix of a watcher is matched against."""
    return f"{event.timer.id} {event.kind}"


def _judge_load(load: Played, found: Audit, of_timer: dict[str, list[Event]], verdict: Verdict) -> None:
    failed = (f"a call failed: {answer.error}" for answer in load.told if answer.error)
    wrong = []
    for number, story in enumerate(load.stories):
        if number in load.ended:
            for timer_id, outcome in story.outcomes.items():
                faults = list(timer_faults(timer_id, outcome, found.timers.get(timer_id), of_timer.get(timer_id, [])))
                verdict.timers += 1
                verdict.lost += bool(faults)
                wrong += faults
    verdict.requests += len(load.told)
    verdict.violations += [*_shortened(failed), *_shortened(wrong)]


def timer_faults(timer_id: str, expected: Outcome, timer: Timer | None, events: Sequence[Event]) -> Iterator[str]:
    """What is wrong with a timer of which every call was acknowledged."""
    if timer is None:
        yield f"timer {timer_id} is gone"
    elif (timer.state, timer.duration_ms) != (expected.state, expected.duration_ms):
        yield (
            f"timer {timer_id} is {timer.state} with {timer.duration_ms} ms, "
            f"but should be {expected.state} with {expected.duration_ms} ms"
        )
    kinds = tuple(event.kind for event in events)
    if kinds != expected.kinds:
        yield f"timer {timer_id} has the events {', '.join(kinds)}, but should have {', '.join(expected.kinds)}"
    for event in events:
        if event.kind == "fired" and event.at_ms < (event.timer.due_at_ms or 0):
            yield f"timer {timer_id} fired early"


def _gaps(seqs: Sequence[int]) -> Iterator[str]:
    for place, seq in enumerate(seqs, 1):
        if seq != place:
            yield f"event {place} of the log has seq {seq}"
            return


def _judge_watcher(watcher: Seen, log: Sequence[Event]) -> list[str]:
    expected = [event for event in log if topic(event).startswith(watcher.prefix)]
    times = Counter(event.seq for event in watcher.events)
    wrong = [
        *_shortened(f"{watcher.name} missed event {event.seq}" for event in expected if not times[event.seq]),
        *_shortened(f"{watcher.name} saw event {seq} {count} times" for seq, count in times.items() if count > 1),
    ]
    if not wrong and list(watcher.events) != expected:
        wrong.append(f"{watcher.name} saw the events out of order, or not as they are in the log")
    return wrong


def _shortened(faults: Iterator[str] | Sequence[str]) -> list[str]:
    faults = list(faults)
    rest = len(faults) - SHOWN
    return faults if rest <= 0 else [*faults[:SHOWN], f"{faults[0]} – and {rest} more like these"]
