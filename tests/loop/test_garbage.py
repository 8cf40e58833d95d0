"""The garbage collector is told when to look at everything: seldom, and yet no leak grows for ever."""

import gc
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from timer_server.loop import garbage
from timer_server.loop.garbage import GarbagePolicy

BEATS = 60
MORE_OBJECTS = 1000


class Looks:
    """How often all that is alive was looked at."""

    def __init__(self) -> None:
        self.count = 0

    def note(self, phase: str, info: dict[str, int]) -> None:
        self.count += phase == "stop" and info["generation"] == 2


@pytest.fixture
def looks() -> Iterator[Looks]:
    looks = Looks()
    gc.callbacks.append(looks.note)
    yield looks
    gc.callbacks.remove(looks.note)


@pytest.fixture
def policy(monkeypatch: pytest.MonkeyPatch) -> Iterator[GarbagePolicy]:
    """That of a process which is empty at first: what tests and pytest hold does not count."""
    gc.collect()
    gc.freeze()
    others = gc.get_freeze_count()
    own = SimpleNamespace(**vars(gc) | {"get_freeze_count": lambda: gc.get_freeze_count() - others})
    monkeypatch.setattr(garbage, "gc", own)
    monkeypatch.setattr(garbage, "_MORE_OBJECTS", MORE_OBJECTS)
    policy = GarbagePolicy()
    yield policy
    policy.close()
    gc.unfreeze()


def pass_beats(policy: GarbagePolicy, beats: int) -> None:
    for _ in range(beats):
        policy.beat()


def test_what_is_not_part_of_a_cycle_is_no_reason_to_look(policy: GarbagePolicy, looks: Looks) -> None:
    kept = [b"%d" % number for number in range(200_000)]
    pass_beats(policy, 3 * BEATS)

    assert looks.count == 0
    assert len(kept) == 200_000


def test_the_middle_generation_is_not_looked_at(policy: GarbagePolicy) -> None:
    generations = []

    def note(_: str, info: dict[str, int]) -> None:
        generations.append(info["generation"])

    gc.callbacks.append(note)
    try:
        kept: list[list[object]] = [[] for _ in range(50_000)]
    finally:
        gc.callbacks.remove(note)
    assert kept
    assert set(generations) == {0}


def test_many_new_objects_are(policy: GarbagePolicy, looks: Looks) -> None:
    """The generations that Python goes through by itself have passed them on by then."""
    kept: list[list[object]] = [[] for _ in range(5 * MORE_OBJECTS)]
    pass_beats(policy, BEATS - 1)
    assert looks.count == 0
    pass_beats(policy, 1)
    assert looks.count == 1
    pass_beats(policy, 3 * BEATS)

    assert looks.count == 1
    assert kept


def test_what_is_loaded_is_set_aside_without_a_look(policy: GarbagePolicy, looks: Looks) -> None:
    """A look at a million timers takes as long as a hundred requests."""
    kept: list[list[object]] = [[] for _ in range(5 * MORE_OBJECTS)]
    policy.loaded()
    pass_beats(policy, 3 * BEATS)
    assert looks.count == 0

    more: list[list[object]] = [[] for _ in range(8 * MORE_OBJECTS)]
    pass_beats(policy, BEATS)
    assert looks.count == 1, "what comes later counts as before"
    assert kept
    assert more


def test_cycles_that_died_old_are_found_in_the_end(policy: GarbagePolicy) -> None:
    class Knot:
        alive = 0

        def __init__(self) -> None:
            self.itself = self
            Knot.alive += 1

        def __del__(self) -> None:
            Knot.alive -= 1

    alive = []
    for _ in range(12):
        knots = [Knot() for _ in range(MORE_OBJECTS // 4)]
        gc.freeze()
        del knots
        pass_beats(policy, BEATS)
        alive.append(Knot.alive)

    assert max(alive) > MORE_OBJECTS // 4
    assert max(alive) < 12 * MORE_OBJECTS // 4


def test_python_has_its_own_way_again_in_the_end() -> None:
    before = gc.get_threshold()
    GarbagePolicy().close()

    assert gc.get_threshold() == before
