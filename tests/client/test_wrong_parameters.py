"""What the server finds wrong with a parameter, as the command line says it."""

import click
import pytest

from timer_client.cli.wrong_parameters import reworded

PARAMETERS = click.Command(
    "put",
    params=[
        click.Argument(["timer_ids"], metavar="[ID...]", nargs=-1),
        click.Option(["-l", "--lease", "lease_ms"]),
        click.Option(["--backoff", "backoff_ms"]),
        click.Option(["--state", "states"]),
    ],
).params


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (
            "Expected `int` >= 1000 - at `params.lease_ms` (queue.put takes queue, lease_ms?)",
            "--lease must be at least 1000 ms",
        ),
        ("Expected `int` <= 9 - at `params.backoff_ms[...]` (queue.put takes queue)", "--backoff must be at most 9 ms"),
        ("Expected `array` of length <= 1 - at `params.states` (a.b takes x)", "--state must have at most 1 item"),
        (
            "Expected `str` of length >= 1 - at `params.id`: A timer, no (bracket. (timer.get takes id)",
            "ID must have at least 1 character",
        ),
        (
            "Expected `int`, got `str` - at `params.max`: How many. (queue.take takes max?)",
            "max: Expected `int`, got `str`",
        ),
        ("'x' is no receipt", "'x' is no receipt"),
    ],
)
def test_it_is_said_of_the_option_or_argument(reason: str, told: str) -> None:
    assert reworded(reason, PARAMETERS) == told
