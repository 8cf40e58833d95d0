"""A small run for the tests of what is made of runs."""

from bench.results import Curve, Figure, Results, Row, at_least, at_most


def results() -> Results:
    starts = Row("starts", "starts/s", [90_000, 100_000, 120_000], "echo", "fsync before the reply")
    starts.aims += [at_least("0.5 of the echo", 0.1, 0.5), at_most("1 s", 0.5, 1)]
    echo = Row("echo", "messages/s", [1_000_000.0], durability="none")
    return Results(
        {"cores": "2"},
        [Figure("speed", "How fast", [starts, echo], ["A note."], [Curve("a line", [1.0, 2.0], [3.0, 4.0])])],
    )
