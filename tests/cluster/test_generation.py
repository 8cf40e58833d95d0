"""The version of the list of servers, as servers tell it that have joined at different times."""

from random import Random

import pytest

from timer_server.cluster.generation import Generation


@pytest.mark.parametrize("seed", range(20))
def test_it_rises_with_each_change_and_is_the_same_for_all_that_live(seed: int) -> None:
    chance = Random(seed)  # noqa: S311 - a game, not a secret
    living: dict[int, Generation] = {}
    last_join = told = 0
    for _ in range(60):
        if len(living) < 2 or chance.random() < 0.5:
            last_join += chance.choice((1, 1, 33))  # PostgreSQL leaves numbers out after a crash
            living[last_join] = Generation()
            shown = last_join
        else:
            del living[chance.choice([*living])]
            shown = chance.choice((max(living), last_join))  # the rows of the dead go sooner or later
        for generation in living.values():
            generation.observe(shown, len(living), has_company=True)
        (now_told,) = {generation.number for generation in living.values()}
        assert now_told > told
        told = now_told


def test_a_server_alone_keeps_one_until_it_has_met_another() -> None:
    generation = Generation()
    generation.observe(7, 1, has_company=False)
    assert generation.number == 1

    generation.observe(8, 2, has_company=True)
    met = generation.number
    generation.observe(8, 1, has_company=False)
    assert (met > 1, generation.number) == (True, met + 1)
