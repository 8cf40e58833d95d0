"""What Prometheus is told."""

import pytest
from msgspec import convert
from prometheus_client import CollectorRegistry, generate_latest

from drivers.builders import BEGIN_NS, NS_PER_MS, Bench
from drivers.desk import Desk
from timer_protocol.queue_messages import Queue
from timer_server.distribution import Distribution
from timer_server.exporter import Exporter
from timer_server.metrics import Metrics


def told(metrics: Metrics) -> list[str]:
    registry = CollectorRegistry()
    registry.register(Exporter(metrics))
    return generate_latest(registry).decode().splitlines()


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
    metrics.dropped()

    assert {"timer_messages_total 3.0", "timer_replies_dropped_total 1.0"} <= set(told(metrics))


def test_the_moment_of_the_last_backup_is_told_by_the_wall_clock() -> None:
    metrics = Metrics({})
    assert "timer_last_backup_timestamp_seconds 0.0" in told(metrics)
    metrics.backed_up(BEGIN_NS)
    assert "timer_last_backup_timestamp_seconds 1.7e+09" in told(metrics)


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
    metrics.note_queues(views)

    lines = told(metrics)

    assert 'timer_queue_ends{queue="q000",state="ready"} 1.0' in lines
    assert 'timer_queue_ends{queue="q000",state="dead"} 0.0' in lines
    assert 'timer_queue_dropped_total{queue="q000"} 0.0' in lines
    assert 'timer_queue_oldest_ready_seconds{queue="q099"} 0.5' in lines
    assert not [line for line in lines if "q100" in line]


def test_skipped_moments_of_plans_are_counted_by_their_reason() -> None:
    desk = Desk()
    metrics = Metrics({0: desk.engine.counts()})
    desk.result("plan.put", plan="p", every={"hours": 1}, missed="none")
    desk.result("plan.skip", plan="p")
    desk.engine.expire(desk.now_ns + 5 * 3_600_000 * NS_PER_MS, 10)
    settle(desk, metrics, 0, BEGIN_NS)
    metrics.note_plans(1)

    lines = told(metrics)
    assert "timer_plans 1.0" in lines
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
