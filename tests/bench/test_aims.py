"""Aims that compare rows with one another."""

from bench import fan_out, queues
from bench.growth import UNITS, figure_of
from bench.peers.alternative import Alternative, rows_of
from bench.results import Figure, Row
from bench.starts import CLIENTS, SIZES, against_redis, echo_name, name_of


def starts_figure(*others: Row) -> Figure:
    rows = []
    for size in SIZES:
        for clients in CLIENTS:
            rows += [Row(name_of(size, clients), "starts/s", [float(size + clients)], echo_name(size, clients))]
            rows += [Row(echo_name(size, clients), "starts/s", [1e6])]
    return Figure("starts", "Starts", [*rows, *others])


def test_our_best_is_compared_with_the_best_of_redis_that_is_as_durable() -> None:
    redis = [Row("Redis, always: a", "", [300.0]), Row("Redis, always: b", "", [504.0])]
    figure = starts_figure(*redis, Row("Redis, everysec: a", "", [9e9]))
    against_redis(figure)
    (aim,) = [aim for row in figure.rows for aim in row.aims]
    assert figure.row(name_of(500, 4)).aims == [aim]
    assert aim.met
    assert "(1.00)" in aim.text


def test_without_redis_nothing_is_compared() -> None:
    figure = starts_figure()
    against_redis(figure)
    assert not [aim for row in figure.rows for aim in row.aims]


def test_growth_compares_the_ends_and_draws_all() -> None:
    took = {(name, size): [cost] for name in UNITS for size, cost in ((10, 2.0), (100, 2.5), (1000, 3.0))}
    figure = figure_of(took, (10, 100, 1000))
    assert [aim.met for row in figure.rows for aim in row.aims] == [False] * len(UNITS)
    assert {tuple(curve.ys) for curve in figure.curves} == {(1.0, 1.25, 1.5)}


def test_a_peers_rows_carry_its_durability() -> None:
    peer = Alternative({"a": "ms", "b": "s"}, "none", dict)
    assert rows_of([peer], {"a": [1.0], "b": [2.0]}) == [
        Row("a", "ms", [1.0], durability="none"),
        Row("b", "s", [2.0], durability="none"),
    ]


def test_workers_of_a_queue_are_compared_with_each_peers_rate_alone() -> None:
    ours = {queues.OURS: [100.0], queues.ECHO: [1000.0], queues.SERVER_CPU: [9.0], queues.WORKERS_CPU: [5.0]}
    peers = [Row("Redis Streams", "ends/s", [80.0]), Row("Redis Streams: CPU", "µs an end", [999.0])]
    peers += [Row("beanstalkd -f0: 4 workers, one after another", "ends/s", [11.0])]
    figure = queues.figure_of(ours, [*peers, Row("beanstalkd -f0: 4 workers, 100 in one piece", "ends/s", [50.0])])
    aims = {aim.text: aim.met for aim in figure.row(queues.OURS).aims}
    assert aims == {"≥ 1 × Redis (1.25)": True, "≥ 10 × beanstalkd, one after another (9.09)": False}
    assert not queues.figure_of(ours, []).row(queues.OURS).aims


def test_a_further_subscriber_is_what_many_cost_more_than_one_shared_out() -> None:
    samples = {
        fan_out.name_of(part, how_many): [cost] for part in fan_out.PARTS for how_many, cost in ((1, 9.0), (5, 21.0))
    }
    peer = Row("Redis", "µs", [2.5])
    figure = fan_out.figure_of({**samples, fan_out.BARE: [1.5]}, 5, [peer])
    further = {part: figure.row(f"{part}, a further subscriber") for part in fan_out.PARTS}
    assert {row.median for row in further.values()} == {3.0}
    assert [part for part, row in further.items() if row.limit == fan_out.BARE] == [fan_out.CPU, fan_out.TOGETHER_CPU]
    assert [part for part, row in further.items() if row.aims[0].met] == [fan_out.CPU, fan_out.TOGETHER_CPU]
    assert figure.rows[-1] is peer
