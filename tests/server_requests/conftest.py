"""The profiles of Hypothesis, loaded before the tests that use them, and a desk for those who need no other."""

import pytest

import core.profiles  # noqa: F401
from drivers.desk import Desk


@pytest.fixture
def desk() -> Desk:
    """A desk with one timer of a minute, stored."""
    desk = Desk()
    desk.start("a")
    desk.end_turn()
    return desk
