"""What clients were told in a time in which nothing may be acknowledged, and when they were told something again."""

from collections.abc import Iterator

from campaigns.facts import Facts

ON_THE_WAY_S = 0.5
"""How long what was told before may still be on its way to those who write it down."""

Version = tuple[str, int]
"""A timer, and its version."""


def told_meanwhile(facts: Facts, from_s: float, until_s: float) -> list[str]:
    """The versions of timers of which anybody was told first between two moments, though nothing could be kept."""
    return [
        f"nothing_is_told_that_is_not_kept: timer {timer_id} version {version} was told {at_s - from_s:.2f} s after "
        "there was nobody left to confirm it"
        for (timer_id, version), at_s in _first_told_s(facts).items()
        if from_s + ON_THE_WAY_S < at_s < until_s
    ]


def told_again_s(facts: Facts, from_s: float) -> float:
    """How long after a moment anything new was told."""
    return min((at_s for at_s in _first_told_s(facts).values() if at_s > from_s), default=float("inf")) - from_s


def _first_told_s(facts: Facts) -> dict[Version, float]:
    """When each version was told first, in a reply or as an event."""
    first_s: dict[Version, float] = {}
    for version, at_s in _told(facts):
        first_s[version] = min(first_s.get(version, at_s), at_s)
    return first_s


def _told(facts: Facts) -> Iterator[tuple[Version, float]]:
    for one in facts.tries:
        if one.timer is not None and one.answered is not None:
            yield (one.timer.id, one.timer.version), one.answered.at_s
    for heard in facts.heard:
        yield (heard.event.timer.id, heard.event.timer.version), heard.at_s
