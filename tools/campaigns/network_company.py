"""Loads and watchers at work while faults happen: whether they recover, and in the end whether all of it is right."""

import time
from collections.abc import Callable, Set
from dataclasses import dataclass

from campaigns.campaign import Report
from campaigns.network_audit import Audit
from campaigns.network_collect import Collector, Source
from campaigns.network_load import Told
from campaigns.network_verdict import Played, Seen, judge, topic
from timer_client import Event

READY_LIMIT_S = 30.0

RECOVERY_LIMIT_S = 60.0
"""After this long it counts as a violation: the client's own patience is not longer."""

CATCH_UP_LIMIT_S = 30.0


@dataclass(frozen=True)
class _Player:
    prefix: str
    seed: int
    told: Collector[Told]


@dataclass(frozen=True)
class _Watcher:
    prefix: str
    events: Collector[Event]


class Company:
    """Has its loads and watchers at work from the moment that they are added."""

    def __init__(self, recovery_limit_s: float = RECOVERY_LIMIT_S) -> None:
        self._recovery_limit_s = recovery_limit_s
        self._players: list[_Player] = []
        self._watchers: list[_Watcher] = []
        self._violations: list[str] = []
        self._recoveries: dict[str, list[float]] = {}

    def add_load(self, prefix: str, seed: int, source: Source[Told]) -> None:
        """A load that plays the stories of a prefix and a seed."""
        self._players.append(_Player(prefix, seed, Collector(f"load {prefix}", source)))

    def add_watcher(self, name: str, source: Source[Event], prefix: str = "") -> None:
        """A watcher of all events, or of those with a prefix, from the first one on."""
        self._watchers.append(_Watcher(prefix, Collector(name, source)))

    def wait_until_ready(self) -> None:
        """Returns once every load and every watcher has had something."""
        for collector in self._collectors():
            assert collector.first(lambda _: True, READY_LIMIT_S), f"{collector.name} did not begin {collector.failure}"

    def recover(self, kind: str, since_s: float) -> None:
        """Counts a fault, and waits until all is well again since a moment."""
        self.record(kind, self.wait_until_well(kind, since_s) - since_s)

    def record(self, kind: str, seconds: float) -> None:
        """Counts a fault that was recovered from."""
        self._recoveries.setdefault(kind, []).append(seconds)

    def wait_for_end(self, timer_id: str, limit_s: float) -> None:
        """Returns when a watcher has seen a timer fire."""

        def is_end(event: Event) -> bool:
            return event.timer.id == timer_id and event.kind == "fired"

        assert self._watchers[0].events.first(is_end, limit_s), f"{timer_id} did not fire"

    def wait_until_well(self, kind: str, since_s: float) -> float:
        """Returns when every load had its first answer since a moment, and the watchers had seen what it tells of."""
        recovered_s = since_s
        for player in self._players:
            answer = player.told.first(lambda told: told.at_s > since_s and not told.error, self._recovery_limit_s)
            if answer is None:
                self._give_up(kind, player.told)
                continue
            moments_s = [self._sight(kind, watcher, answer[1]) for watcher in self._watchers]
            recovered_s = max(recovered_s, answer[1].at_s, *moments_s)
        return recovered_s

    def finish(self, read: Callable[[], Audit], others: Set[str]) -> Report:
        """Ends all, reads how things stand, and judges. `others` are the ids of timers that no load has started."""
        for player in self._players:
            player.told.end()
        found = read()
        self._catch_up(found)
        for watcher in self._watchers:
            watcher.events.end()
        failures = [f"{one.name} ended: {one.failure}" for one in self._collectors() if one.failure]
        verdict = judge(
            [Played(player.prefix, player.seed, player.told.items) for player in self._players],
            [Seen(watcher.events.name, watcher.prefix, watcher.events.items) for watcher in self._watchers],
            found,
            others,
        )
        figures = self._figures() | {
            "timers checked": f"{verdict.timers}",
            "watchers": f"{len(self._watchers)}",
        }
        faults = sum(map(len, self._recoveries.values()))
        violations = [*self._violations, *failures, *verdict.violations]
        return Report(faults, verdict.requests, verdict.events, verdict.lost, violations, figures)

    def _collectors(self) -> "list[Collector[Told] | Collector[Event]]":
        return [*(player.told for player in self._players), *(watcher.events for watcher in self._watchers)]

    def _sight(self, kind: str, watcher: _Watcher, told: Told) -> float:
        """When a watcher saw what a load was told of; the beginning of time if it does not watch that."""

        def shows_it(event: Event) -> bool:
            return event.timer.id == told.id and event.timer.version >= told.version

        if not told.id.startswith(watcher.prefix):
            return 0.0
        sight = watcher.events.first(shows_it, self._recovery_limit_s)
        if sight is None:
            self._give_up(kind, watcher.events)
            return 0.0
        return sight[0]

    def _give_up(self, kind: str, collector: "Collector[Told] | Collector[Event]") -> None:
        limit = f"within {self._recovery_limit_s:g} s of {kind}"
        self._violations.append(f"{collector.name} did not recover {limit} {collector.failure}".rstrip())

    def _catch_up(self, found: Audit) -> None:
        """Waits until the watchers have seen the last event that is theirs; one that does not is judged by what it
        has."""
        ends_s = time.monotonic() + CATCH_UP_LIMIT_S
        for watcher in self._watchers:
            last = max((event.seq for event in found.events if topic(event).startswith(watcher.prefix)), default=0)
            watcher.events.first(lambda event: event.seq >= last, ends_s - time.monotonic())  # noqa: B023 - called here

    def _figures(self) -> dict[str, str]:
        return {
            f"{kind}: faults, longest recovery": f"{len(seconds)}, {max(seconds):.2f} s"
            for kind, seconds in sorted(self._recoveries.items())
        }
