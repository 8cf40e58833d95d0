"""The guard's judgement of figures that are given to it."""

import pytest

from bench.guard import ATTEMPTS, fallen, guard
from bench.guarded.ratio import Ratio, Ratios, medians

SPEED, MEMORY = Ratio("speed", 0.5), Ratio("memory", 0.1)
GOOD = {SPEED: 0.5, MEMORY: 0.1}
BAD = {SPEED: 0.25, MEMORY: 0.1}


class Attempts:
    """Figures of one attempt after the other, or what goes wrong in it."""

    def __init__(self, *attempts: Ratios | Exception) -> None:
        self.left = list(attempts)

    def __call__(self) -> Ratios:
        attempt = self.left.pop(0)
        if isinstance(attempt, Exception):
            raise attempt
        return attempt


def test_at_the_floor_nothing_has_fallen() -> None:
    assert fallen(GOOD) == []


def test_a_sentence_says_which_ratio_fell_below_what() -> None:
    assert fallen(BAD) == ["speed: 0.250, which is below 0.5"]


def test_of_repetitions_the_median_counts() -> None:
    assert medians([GOOD, BAD, GOOD | {MEMORY: 0.3}]) == {SPEED: 0.5, MEMORY: 0.1}


def test_only_what_fell_is_tried_again(capsys: pytest.CaptureFixture[str]) -> None:
    some, others = Attempts(BAD, GOOD), Attempts(GOOD)
    assert guard({"some": some, "others": others}) == 0
    assert not some.left + others.left
    assert "fell too low" not in capsys.readouterr().out


def test_what_goes_wrong_once_is_tried_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert guard({"some": Attempts(ConnectionError("cut off"), GOOD)}) == 0
    assert "ConnectionError: cut off" in capsys.readouterr().err


def test_it_gives_up_after_some_attempts(capsys: pytest.CaptureFixture[str]) -> None:
    attempts = Attempts(*[BAD] * ATTEMPTS)
    assert guard({"some": attempts, "others": Attempts(GOOD)}) == 1
    assert f"fell too low in each of {ATTEMPTS} attempts: speed" in capsys.readouterr().out
    assert not attempts.left
