"""A desk for those who need no other."""

import pytest

from drivers.desk import Desk


@pytest.fixture
def desk() -> Desk:
    """A desk with one timer of a minute, stored."""
    desk = Desk()
    desk.start("a")
    desk.end_turn()
    return desk
