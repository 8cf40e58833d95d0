"""The judges of campaigns on PostgreSQL that need no server: each names what is wrong, and nothing else."""

from collections.abc import Iterator

import pytest

from campaigns import crowd_verdict
from campaigns.crowd import PREFIX, Crowd, duration_ms
from campaigns.crowd_verdict import CrowdVerdict
from campaigns.facts import Position
from campaigns.keyless import OWN, Extension, applied_as_asked
from campaigns.stored_log import What
from timer_protocol.messages import Event, EventKind, Timer

TIMERS = 3
LATE_S = 3.0


def logged(*numbers_fired: int) -> Iterator[tuple[Position, What]]:
    """The log of a crowd that was started, and of which these have ended."""
    for seq in range(TIMERS):
        yield ("log", seq), ("started", f"{PREFIX}{seq}", 1)
    for seq, number in enumerate(numbers_fired, TIMERS):
        yield ("log", seq), ("fired", f"{PREFIX}{number}", 2)


@pytest.mark.parametrize(
    ("fired", "late_s", "expected"),
    [
        ((0, 1, 2), {0: 0.1, 1: 0.1, 2: LATE_S - 0.1}, ""),
        (
            (0, 1),
            {0: 0.1, 1: 0.1, 2: 0.1},
            "a_crowd_ends_as_it_should: timer 2 was acknowledged; expected that it fired",
        ),
        ((0, 1, 1, 2), {0: 0.1, 1: 0.1, 2: 0.1}, "a_crowd_ends_as_it_should: timer 1 fired 2 times"),
        ((0, 1, 2), {0: 0.1, 1: 0.1}, "a_crowd_ends_as_it_should: the end of timer 2 was heard 0 times"),
        ((0, 1, 2), {0: 0.1, 1: -0.3, 2: 0.1}, "a_crowd_ends_as_it_should: timer 1 was heard 0.200 s early"),
        (
            (0, 1, 2),
            {0: 0.1, 1: 0.1, 2: LATE_S + 0.1},
            "ends_are_prompt: timer 2 was heard 3.10 s late; expected 3 s at most",
        ),
    ],
)
def test_a_crowd_is_judged(
    monkeypatch: pytest.MonkeyPatch, fired: tuple[int, ...], late_s: dict[int, float], expected: str
) -> None:
    crowd = Crowd("tcp://127.0.0.1:1", 1)
    crowd.asked_s.extend([1.0] * TIMERS)
    crowd.answered_s.extend([1.1] * TIMERS)
    heard = [(number, 1.1 + duration_ms(number) / 1000 + one_s) for number, one_s in late_s.items()]
    monkeypatch.setattr(crowd_verdict, "stored_events", lambda _: logged(*fired))
    violations = CrowdVerdict(crowd, heard, "", LATE_S).violations
    assert violations == ([expected] if expected else [])


def event(seq: int, kind: EventKind, duration: int) -> Event:
    timer = Timer(f"{OWN}0", "", "running", 0, 0, 1, duration, duration, 0, duration, None, seq, "")
    return Event("log", seq, kind, 0, timer)


@pytest.mark.parametrize(
    ("durations", "expected"),
    [
        ((1_000, 1_005), None),
        ((1_000, 1_005, 1_012), None),
        ((1_000, 1_007), "was acknowledged, and applied 0 times"),
        ((1_000, 1_005, 1_010), "was acknowledged, and applied 2 times"),
        ((1_000, 1_005, 1_012, 1_019), "was asked for once, and applied 2 times"),
        ((1_000, 1_005, 1_006), "was applied 1 times; nobody asked for it"),
    ],
)
def test_keyless_extensions_are_judged(durations: tuple[int, ...], expected: str | None) -> None:
    asked = [Extension(f"{OWN}0", 5, is_acknowledged=True), Extension(f"{OWN}0", 7, is_acknowledged=False)]
    log = [event(seq, "extended" if seq > 1 else "started", one) for seq, one in enumerate(durations, 1)]
    found = list(applied_as_asked(asked, log))
    assert len(found) == (expected is not None)
    assert expected is None or expected in found[0]
