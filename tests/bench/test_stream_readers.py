"""What the readers of streams tell of them: what is missing counts wherever it is missing."""

from typing import Any

import msgspec
import pytest

from bench.stream_readers import Parts, report, stream_id
from timer_gateway.streams.event_text import data_lines, id_line, named

FINAL = 6


def event(version: int, number: int = 0) -> bytes:
    told = {"at_ms": 1_000 + version, "timer": {"id": stream_id(number), "version": version}}
    return id_line(f"a:{version}") + data_lines(msgspec.json.encode(told))


def reported(*versions: int, number: int = 0) -> dict[str, Any]:
    parts = [((1_002 + version) * 1_000_000, event(version, number)) for version in versions]
    return report([parts], [FINAL])


def faults(told: dict[str, Any]) -> tuple[int, int, int]:
    return told["missing"], told["misplaced"], told["notices"]


def test_all_versions_are_nothing_missing() -> None:
    told = reported(2, 3, 4, 5, 6)
    assert faults(told) == (0, 0, 0)
    assert (told["events"], told["late_ms"]) == (5, [2.0] * 5)
    assert told["took_s"] == pytest.approx(0.004)


@pytest.mark.parametrize(
    ("versions", "missing", "misplaced"),
    [
        ((2, 3), 3, 0),  # the tail
        ((), 5, 0),
        ((3, 4, 5, 6), 1, 0),
        ((2, 3, 5, 6), 1, 0),
        ((2, 3, 3, 4, 5, 6), 0, 1),
        ((2, 4, 3, 5, 6), 0, 1),
        ((1, 2, 3, 4, 5, 6), 0, 1),
    ],
)
def test_what_is_lost_or_misplaced_counts(versions: tuple[int, ...], missing: int, misplaced: int) -> None:
    assert faults(reported(*versions)) == (missing, misplaced, 0)


def test_events_of_another_timer_are_not_its_own() -> None:
    assert faults(reported(2, 3, 4, 5, 6, number=1)) == (5, 5, 0)


def test_a_stream_that_says_nothing_counts_beside_one_that_tells_all() -> None:
    whole: Parts = [(2_000_000_000, b"".join(event(version) for version in range(2, FINAL + 1)))]
    assert faults(report([whole, []], [FINAL, FINAL])) == (5, 0, 0)


def test_messages_come_in_any_pieces_and_those_without_an_event_are_told_apart() -> None:
    text = named("beat", "a:1", {}) + event(2) + named("away", "a:2", {}) + named("truncated", "a:9", {}) + event(6)
    parts = [(2_000_000_000, text[at : at + 7]) for at in range(0, len(text), 7)]
    assert faults(report([parts], [FINAL])) == (3, 0, 2)
