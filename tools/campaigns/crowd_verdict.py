"""What became of a crowd, by what the tables hold and when its ends were heard."""

from collections import Counter
from collections.abc import Iterable, Iterator

from campaigns.crowd import PREFIX, Crowd, duration_ms
from campaigns.stored_log import stored_events

READING_S = 1e-6


class CrowdVerdict:
    """The violations, and the figures of it."""

    def __init__(self, crowd: Crowd, heard: Iterable[tuple[int, float]], url: str, late_s: float) -> None:
        self.acknowledged = [number for number, at_s in enumerate(crowd.answered_s) if at_s]
        self.latest_s = 0.0
        self._crowd = crowd
        self._late_s = late_s
        self._heard: dict[int, float] = {}
        self._times_heard: Counter[int] = Counter()
        for number, at_s in heard:
            self._heard.setdefault(number, at_s)
            self._times_heard[number] += 1
        self._logged: dict[str, Counter[int]] = {"started": Counter(), "fired": Counter()}
        for _, (kind, timer_id, _version) in stored_events(url):
            if timer_id.startswith(PREFIX):
                self._logged[kind][int(timer_id.removeprefix(PREFIX))] += 1
        wrong = [*self._wrong_in_the_log(), *self._heard_early()]
        self.violations = [f"a_crowd_ends_as_it_should: {sentence}" for sentence in wrong]
        self.violations += [f"ends_are_prompt: {sentence}" for sentence in self._heard_late()]
        self.violations += [f"clients_notice_nothing: {failure}" for failure in crowd.failures]

    @property
    def figures(self) -> dict[str, str]:
        """For the report."""
        total, heard = len(self.acknowledged), len(self._heard)
        return {"crowd": f"{total:,} acknowledged, {heard:,} ends heard, the latest {self.latest_s:.2f} s late"}

    def _wrong_in_the_log(self) -> Iterator[str]:
        for kind, times in self._logged.items():
            for number, count in times.items():
                if count > 1:
                    yield f"timer {number} {kind} {count} times"
        for number in self.acknowledged:
            for kind, times in self._logged.items():
                if not times[number]:
                    yield f"timer {number} was acknowledged; expected that it {kind}"
            if self._times_heard[number] != 1:
                yield f"the end of timer {number} was heard {self._times_heard[number]} times"

    def _heard_early(self) -> Iterator[str]:
        for number, at_s in self._heard.items():
            early_s = self._crowd.asked_s[number] + duration_ms(number) / 1000 - at_s
            if early_s > READING_S:
                yield f"timer {number} was heard {early_s:.3f} s early"

    def _heard_late(self) -> Iterator[str]:
        for number, at_s in self._heard.items():
            if not (answered_s := self._crowd.answered_s[number]):
                continue
            late_s = at_s - answered_s - duration_ms(number) / 1000
            self.latest_s = max(self.latest_s, late_s)
            if late_s > self._late_s:
                yield f"timer {number} was heard {late_s:.2f} s late; expected {self._late_s:g} s at most"
