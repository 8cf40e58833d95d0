"""What the peers that take part do for each figure."""

from bench.lateness import Latenesses
from bench.peers import (
    apscheduler_figures,
    beanstalkd_lateness,
    beanstalkd_queues,
    beanstalkd_starts,
    redis_cancels,
    redis_changes,
    redis_fan_out,
    redis_lateness,
    redis_memory,
    redis_queues,
    redis_starts,
)
from bench.peers.alternative import Alternative
from bench.peers.chosen import has_apscheduler, has_beanstalkd, has_redis
from bench.run import Run


def starts(run: Run) -> list[Alternative]:
    """Starts in batches."""
    return [
        *(redis_starts.in_bulk(run) if has_redis(run) else ()),
        *(beanstalkd_starts.in_bulk(run) if has_beanstalkd(run) else ()),
    ]


def cancels(run: Run) -> list[Alternative]:
    """Cancels in batches."""
    return redis_cancels.in_bulk(run) if has_redis(run) else []


def changes(run: Run) -> list[Alternative]:
    """Changes in pages."""
    return redis_changes.in_pages(run) if has_redis(run) else []


def concurrent(run: Run) -> list[Alternative]:
    """Starts of fifty clients."""
    return [
        *(redis_starts.concurrent(run) if has_redis(run) else ()),
        *(beanstalkd_starts.concurrent(run) if has_beanstalkd(run) else ()),
    ]


def on_postgres(run: Run) -> list[Alternative]:
    """Starts in batches, beside those of servers on PostgreSQL."""
    return redis_starts.in_bulk(run) if has_redis(run) else []


def one_client(run: Run) -> list[Alternative]:
    """Starts of one client."""
    made: list[Alternative] = []
    if has_redis(run):
        from bench.peers import redis_one_client  # noqa: PLC0415 - needs a package that is there for peers only

        made += redis_one_client.alternatives(run)
    return made + (apscheduler_figures.one_client(run) if has_apscheduler(run) else [])


def queues(run: Run) -> list[Alternative]:
    """Workers that share what is ready."""
    return [
        *(redis_queues.alternatives(run) if has_redis(run) else ()),
        *(beanstalkd_queues.alternatives(run) if has_beanstalkd(run) else ()),
    ]


def plans(run: Run) -> list[Alternative]:
    """Plans."""
    return apscheduler_figures.plans(run) if has_apscheduler(run) else []


def lateness(run: Run, heard: Latenesses) -> list[Alternative]:
    """Lateness."""
    return [
        *(redis_lateness.alternatives(run, heard) if has_redis(run) else ()),
        *(beanstalkd_lateness.alternatives(run, heard) if has_beanstalkd(run) else ()),
        *(apscheduler_figures.lateness(run, heard) if has_apscheduler(run) else ()),
    ]


def memory(run: Run) -> list[Alternative]:
    """Memory."""
    return [
        *(redis_memory.alternatives(run) if has_redis(run) else ()),
        *(beanstalkd_starts.memory(run) if has_beanstalkd(run) else ()),
    ]


def fan_out(run: Run) -> list[Alternative]:
    """Many subscribers."""
    return redis_fan_out.alternatives(run) if has_redis(run) else []
