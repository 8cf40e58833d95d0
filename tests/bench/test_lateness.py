"""What a watcher has heard becomes rows and a line of the plot."""

import json

import msgspec
import pytest

from bench.lateness import Latenesses
from bench.listening import Lateness, percentile_curve
from bench.watcher import report

HUNDRED = Lateness([float(number) for number in range(100, 0, -1)], 1.0)


def test_lateness_is_arrival_less_deadline() -> None:
    heard = [(1_000_500_000, b'{"seq":1,"timer":{"id":"a","due_at_ms":1000}}'), (1_002_000_000, due(1001))]
    told = msgspec.convert(json.loads(json.dumps(report(heard))), Lateness)
    assert told.late_ms == pytest.approx([0.5, 1.0])
    assert told.took_ms == pytest.approx(2.0)


def test_a_repetition_is_three_rows() -> None:
    assert HUNDRED.rows("quiet") == {"quiet: p50": 50, "quiet: p99": 99, "quiet: max": 100}


def test_an_end_that_came_early_fails_the_run() -> None:
    assert HUNDRED.never_early() is HUNDRED
    with pytest.raises(AssertionError, match=r"0\.250 ms early"):
        Lateness([1.0, -0.25], 1.0).never_early()


def test_the_line_is_of_all_repetitions() -> None:
    heard = Latenesses()
    heard.rows("quiet", Lateness([1.0], 1.0))
    heard.rows("quiet", Lateness([3.0], 1.0))
    (curve,) = heard.curves()
    assert curve.label == "quiet"
    assert (curve.ys[0], curve.ys[-1]) == (1.0, 3.0)


def test_percentiles_of_the_line_rise_to_the_last() -> None:
    percents, late_ms = percentile_curve(HUNDRED.late_ms)
    assert percents == sorted(percents)
    assert late_ms == sorted(late_ms)
    assert (percents[-1], late_ms[-1]) == (100, 100)


def due(at_ms: int) -> bytes:
    return b'{"timer":{"due_at_ms":%d}}' % at_ms
