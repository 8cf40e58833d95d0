"""The campaigns about load find what is lost, doubled, invented or early."""

from random import Random

from campaigns import held, herd
from campaigns.held import Ends, Traffic, check


def test_what_a_herd_has_lost_doubled_or_heard_early_is_found() -> None:
    assert herd.check(["herd/0", "herd/1"], [0.4, 3.0], fired=2, how_many=2) == []
    assert herd.check(["herd/0", "herd/0"], [-0.5, 3.0], fired=1, how_many=2) == [
        "1 of 2 were heard, 1 of them twice",
        "1 of 2 have fired",
        "one was heard 0.50 ms early",
    ]


def test_a_lost_a_doubled_an_invented_and_an_early_end_are_found() -> None:
    traffic, ends = Traffic("", Random(7)), Ends.__new__(Ends)  # noqa: S311
    traffic.plans = {"lost": "fire", "doubled": "extend", "revived": "cancel", "good": "pause"}
    ends.fired = held.Counter({"doubled": 2, "revived": 1, "good": 1, "invented": 1})
    ends.late_ms = [0.5, -0.2]
    assert check(traffic, ends, running=9, pending=10) == [
        "lost, fire, fired 0 times, not 1",
        "doubled, extend, fired 2 times, not 1",
        "revived, cancel, fired 1 times, not 0",
        "invented fired and was never started",
        "9 timers run on, not 10",
        "an end was heard 0.20 ms early",
    ]
