"""What Prometheus is told."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import convert
from prometheus_client import CollectorRegistry, generate_latest

from drivers.builders import BEGIN_NS, NS_PER_MS, NS_PER_S, Bench
from drivers.desk import Desk, batch, request
from loop.hall import Hall
from timer_protocol import PROTOCOL, __version__
from timer_protocol.queue_messages import Queue
from timer_server.core.queues.queues import QUEUES_MAXIMUM
from timer_server.distribution import Distribution
from timer_server.exporter import Exported, Exporter, registry_of
from timer_server.limits import PARKED_MAXIMUM
from timer_server.loop import turn
from timer_server.metrics import Metrics
from timer_server.requests.answers import STORE_AWAY
from timer_server.requests.queue_views import QueueTotals


def told(metrics: Metrics, now_ns: int = 0) -> list[str]:
    registry = CollectorRegistry()
    registry.register(Exporter(Exported(metrics, lambda: now_ns)))
    return generate_latest(registry).decode().splitlines()


def counted(metrics: Metrics) -> dict[str, float]:
    """The requests that were answered, by what stands between the braces."""
    lines = [line.partition("{")[2].split("} ") for line in told(metrics) if line.startswith("timer_requests_total{")]
    return {labels: float(count) for labels, count in lines if float(count)}


@pytest.fixture
def hall() -> Iterator[Hall]:
    with closing(Hall()) as hall:
        yield hall


def beat(hall: Hall) -> None:
    """A turn in which the loop looks how it stands."""
    hall.machine.ns += 1_100 * NS_PER_MS
    hall.turn()


def settle(bench: Bench, metrics: Metrics, took_ns: int, now_ns: int) -> None:
    """Tells of what has become durable by now."""
    writes = bench.shard.take_writes()
    assert writes is not None
    metrics.settled([(bench.shard, writes)], took_ns, now_ns)


def test_events_are_counted_by_kind_and_ends_by_how_late_they_were() -> None:
    bench = Bench()
    bench.shard.ahead_ns = 5000 * NS_PER_MS
    metrics = Metrics({0: bench.engine.counts()})
    bench.start("a", seconds=1)
    bench.start("b", seconds=1)
    settle(bench, metrics, 2 * NS_PER_MS, BEGIN_NS - 5000 * NS_PER_MS)
    bench.engine.expire(BEGIN_NS + 1000 * NS_PER_MS, 10)
    settle(bench, metrics, 3 * NS_PER_MS, BEGIN_NS - 3996 * NS_PER_MS)
    bench.start("flying", seconds=1)

    lines = told(metrics)

    assert 'timer_events_total{kind="started"} 2.0' in lines
    assert 'timer_events_total{kind="fired"} 2.0' in lines
    assert 'timer_lateness_seconds_bucket{le="0.0025"} 0.0' in lines
    assert 'timer_lateness_seconds_bucket{le="0.005"} 2.0' in lines
    assert "timer_lateness_seconds_count 2.0" in lines
    assert "timer_commit_duration_seconds_sum 0.005" in lines
    assert 'timer_timers{state="fired"} 2.0' in lines
    assert 'timer_timers{state="running"} 0.0' in lines


def test_messages_and_dropped_replies_are_counted() -> None:
    metrics = Metrics({0: Bench().engine.counts()})
    metrics.received(3)
    metrics.dropped(1)

    assert {"timer_messages_total 3.0", "timer_replies_dropped_total 1.0"} <= set(told(metrics))


def test_requests_are_counted_by_method_and_error_as_they_are_told(hall: Hall) -> None:
    metrics = hall.parts.metrics
    bad = request("timer.start", 3, hours="many")
    hall.wire.requests = [
        request("timer.wait", 1, id="first", wait_ms=60_000),
        batch(request("timer.start", 1, id="a", seconds=60), request("timer.get", 2, id="nowhere"), bad),
        b'{"jsonrpc":"2.0","method":"timer.pause","params":{"id":"a"}}',
        request("timer.sing", 4),
        b"{",
    ]
    hall.turn(hall.wire.socket)

    answered = {
        'error="",method="timer.start"': 1.0,
        'error="timer_not_found",method="timer.get"': 1.0,
        'error="invalid_params",method="timer.start"': 1.0,
        'error="method_not_found",method="other"': 1.0,
        'error="parse_error",method="other"': 1.0,
    }
    assert counted(metrics) == answered, "neither who waits nor a notification has been answered"
    assert 'timer_requests_total{error="",method="queue.take"} 0.0' in told(metrics)

    hall.go_to(hall.due_ns)
    hall.turn()
    assert counted(metrics) == {**answered, 'error="",method="timer.wait"': 1.0}


def test_a_request_whose_turn_is_not_stored_counts_as_failed(hall: Hall) -> None:
    answer = hall.park("timer.wait", id="first", wait_ms=60_000)
    hall.loop._teller.fail([answer], STORE_AWAY)
    assert counted(hall.parts.metrics) == {'error="storage_failed",method="timer.wait"': 1.0}


def test_a_server_says_what_it_is() -> None:
    build = f'protocol="{PROTOCOL}",store="memory",version="{__version__}"'
    assert f"timer_build_info{{{build}}} 1.0" in told(Metrics({}))


def test_the_oldest_end_that_is_overdue_is_told_also_by_a_loop_that_stands_still(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "RECEIVE_NS", 0)  # so that a turn makes one step of a herd
    metrics = hall.parts.metrics
    begin_ns = hall.clock.now_ns() - hall.machine.ns

    def overdue(at_ns: int) -> str:
        (line,) = [line for line in told(metrics, begin_ns + at_ns) if line.startswith("timer_oldest_overdue_seconds")]
        return line.split()[1]

    due_ns = hall.begin("one", 3)
    beat(hall)
    assert overdue(due_ns) == "0.0", "by the last look, and the loop has ended it by now"
    assert overdue(due_ns + 60 * NS_PER_S) == "60.0", "the loop has not looked for a minute"

    for number in range(501):  # one more than a turn ends
        hall.start(f"{number}", hall.clock.now_ns(), seconds=5)
    hall.machine.ns += 10 * NS_PER_S
    hall.turn()
    assert 4.8 < float(overdue(hall.machine.ns)) < 5.1, "one is left for the next turn"


def test_limits_waits_and_logs_are_told_once_a_beat(hall: Hall) -> None:
    hall.begin("long", 3_600)
    hall.park("timer.wait", id="long", wait_ms=60_000)
    hall.result("queue.put", queue="q", prefix="", max_backlog=4)
    beat(hall)
    beat(hall)  # which finds durable what happened up to the one before

    lines = told(hall.parts.metrics)
    seq = hall.shard.log.durable_seq
    assert {
        "timer_parked_requests 1.0",
        f'timer_limit_ratio{{limit="parked_requests"}} {1 / PARKED_MAXIMUM}',
        'timer_limit_ratio{limit="queue_backlog"} 0.25',
        f'timer_limit_ratio{{limit="queues"}} {1 / QUEUES_MAXIMUM}',
        f'timer_limit_ratio{{limit="ended_timers"}} {1 / hall.limits.max_timers}',
        f'timer_log_seq{{shard="0"}} {seq}.0',
        "timer_shards 1.0",
    } <= set(lines)


def test_a_backup_is_told_by_the_wall_clock_with_the_bytes_of_the_store_where_that_is_a_file(tmp_path: Path) -> None:
    file, metrics = tmp_path / "timers.db", Metrics({})
    file.write_bytes(bytes(3_000))
    Path(f"{file}-wal").write_bytes(bytes(1_000))
    exported = Exported(metrics, lambda: 0, "sqlite", file)
    metrics.backed_up(BEGIN_NS)

    lines = generate_latest(registry_of(exported)).decode().splitlines()
    assert {"timer_last_backup_timestamp_seconds 1.7e+09", "timer_store_bytes 4000.0"} <= set(lines)
    (free,) = [float(line.split()[1]) for line in lines if line.startswith("timer_store_free_bytes ")]
    (ratio,) = [float(line.split()[1]) for line in lines if line.startswith('timer_limit_ratio{limit="disk_bytes"}')]
    assert ratio == pytest.approx(4_000 / (4_000 + free), rel=0.1)

    file.unlink()
    assert "timer_store_bytes" not in generate_latest(registry_of(exported)).decode()
    assert not [line for line in told(metrics) if "backup" in line], "in memory and in PostgreSQL there is none"


def test_servers_that_cannot_be_reached_are_counted_by_why() -> None:
    metrics = Metrics({0: Bench().engine.counts()})
    metrics.unreachable["other_store"] = 2
    lines = set(told(metrics))
    assert 'timer_servers_unreachable{reason="other_store"} 2.0' in lines
    assert 'timer_servers_unreachable{reason="away"} 0.0' in lines


def test_what_the_store_does_to_a_server_is_told() -> None:
    metrics = Metrics({0: Bench().engine.counts()})
    assert {"timer_store_away 0.0", "timer_acknowledged_events_lost_total 0.0"} <= set(told(metrics))
    metrics.is_store_away = True
    metrics.lost(3)

    assert {"timer_store_away 1.0", "timer_acknowledged_events_lost_total 3.0"} <= set(told(metrics))


def test_shards_that_come_and_go_are_told() -> None:
    metrics = Metrics({})
    metrics.take_up(4, Bench().engine.counts())
    metrics.take_up(5, Bench().engine.counts())
    metrics.drop(4)
    metrics.refused.add(7)
    metrics.takeovers, metrics.beats_late = 2, 3

    assert {
        "timer_shards_served 1.0",
        "timer_shards_refused 1.0",
        "timer_shards_taken_over_total 2.0",
        "timer_beats_late_total 3.0",
    } <= set(told(metrics))


def test_queues_are_told_by_name_and_only_a_hundred_of_them() -> None:
    desk = Desk()
    desk.result("queue.put", queue="q000", prefix="")
    desk.start("a", seconds=1)
    desk.wait(1000)
    desk.wait(500)
    metrics = Metrics({0: desk.engine.counts()})
    (queue,) = desk.result("queue.list")["queues"]
    views = [convert({**queue, "queue": f"q{number:03}"}, Queue) for number in range(150)]
    metrics.note_queues(views, QueueTotals(queues=150, dead=7))

    lines = told(metrics)

    assert 'timer_queue_ends{queue="q000",state="ready"} 1.0' in lines
    assert 'timer_queue_ends{queue="q000",state="dead"} 0.0' in lines
    assert 'timer_queue_dropped_total{queue="q000"} 0.0' in lines
    assert 'timer_queue_oldest_ready_seconds{queue="q099"} 0.5' in lines
    assert not [line for line in lines if "q100" in line]
    assert {"timer_queues 150.0", 'timer_queued_ends{state="dead"} 7.0'} <= set(lines)


def test_skipped_moments_of_plans_are_counted_by_their_reason() -> None:
    desk = Desk()
    metrics = Metrics({0: desk.engine.counts()})
    desk.result("plan.put", plan="p", every={"hours": 1}, missed="none")
    desk.result("plan.skip", plan="p")
    desk.engine.expire(desk.now_ns + 5 * 3_600_000 * NS_PER_MS, 10)
    settle(desk, metrics, 0, BEGIN_NS)
    metrics.note_plans(2, paused=1)

    lines = told(metrics)
    assert {"timer_plans 2.0", "timer_plans_paused 1.0"} <= set(lines)
    assert [line for line in lines if line.startswith("timer_plan_moments_skipped_total")] == [
        'timer_plan_moments_skipped_total{reason="missed"} 3.0',
        'timer_plan_moments_skipped_total{reason="overlap"} 0.0',
        'timer_plan_moments_skipped_total{reason="skip"} 1.0',
    ]


@pytest.mark.parametrize(
    ("duration_s", "bound"), [(0.0, "0.0001"), (0.0001, "0.0001"), (0.00011, "0.00025"), (60, "60.0"), (61, "+Inf")]
)
def test_a_duration_counts_from_the_bound_that_it_does_not_exceed(duration_s: float, bound: str) -> None:
    distribution = Distribution()
    distribution.add(duration_s)

    counts = dict(distribution.buckets())
    assert next(name for name, count in counts.items() if count) == bound
    assert counts["+Inf"] == 1
    assert distribution.sum_s == duration_s


@given(st.lists(st.integers(0, 100_000) | st.sampled_from([0, 1, 500, 60_000])))
def test_moments_that_have_lapsed_count_as_one_after_the_other(durations_ms: list[int]) -> None:
    now_ms = 1_700_000_000_000.0
    one, many = Distribution(), Distribution()
    for duration_ms in durations_ms:
        one.add(duration_ms / 1000)
    many.add_lapsed(sorted(int(now_ms) - duration_ms for duration_ms in durations_ms), now_ms)

    assert many.buckets() == one.buckets()
    assert many.sum_s == pytest.approx(one.sum_s)


def test_a_moment_counts_by_what_has_passed_of_a_millisecond_since() -> None:
    distribution = Distribution()
    distribution.add_lapsed([1_700_000_000_000, 1_700_000_000_001], 1_700_000_000_001.05)

    assert [count for _, count in distribution.buckets()[:5]] == [1, 1, 1, 1, 2]
    assert distribution.sum_s == pytest.approx(0.0011, abs=1e-6)
