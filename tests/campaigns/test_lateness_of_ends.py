"""What outages forgive of the lateness of ends."""

import pytest

from campaigns.lateness_of_ends import expected_s

OUTAGES = [(10.0, 14.0), (14.5, 18.0), (30.0, 31.0)]


@pytest.mark.parametrize(
    ("due_s", "heard_s", "expected"),
    [
        (9.0, 9.1, 9.0),
        (6.0, 25.0, 6.0),  # it was to be heard before the first
        (9.9, 14.1, 14.0),  # the first began before it could be
        (12.0, 14.1, 14.0),
        (12.0, 18.2, 18.0),  # the second began while it was still to recover from the first
        (12.0, 35.0, 18.0),  # the third did not
        (14.2, 14.3, 14.2),
        (32.0, 39.0, 32.0),
    ],
)
def test_an_end_is_expected_when_all_stands_again(due_s: float, heard_s: float, expected: float) -> None:
    assert expected_s(due_s, heard_s, OUTAGES, recovery_s=3) == expected
