"""The guard's judgement of figures that are given to it."""

import pytest

from bench.guard import ATTEMPTS, GROWTH, RATIOS, fallen, guard

GOOD = {ratio: ratio.floor for ratio in RATIOS}
BAD = GOOD | {GROWTH: GROWTH.floor / 2}


def test_at_the_floor_nothing_has_fallen() -> None:
    assert fallen(GOOD) == []


def test_a_sentence_says_which_ratio_fell_below_what() -> None:
    (sentence,) = fallen(BAD)
    assert sentence == f"{GROWTH.name}: 0.250, which is below 0.5"


def test_one_good_attempt_is_enough(capsys: pytest.CaptureFixture[str]) -> None:
    attempts = iter([BAD, GOOD])
    assert guard(lambda: next(attempts)) == 0
    assert "fell too low" not in capsys.readouterr().out


def test_it_gives_up_after_some_attempts(capsys: pytest.CaptureFixture[str]) -> None:
    attempts = iter([BAD] * ATTEMPTS)
    assert guard(lambda: next(attempts)) == 1
    assert f"fell too low in each of {ATTEMPTS} attempts: {GROWTH.name}" in capsys.readouterr().out
    assert next(attempts, None) is None
