"""Durable starts in Redis by its Python client, one at a time."""

from collections.abc import Mapping
from functools import partial
from itertools import count

import redis

from bench.one_client import each_ms, figures_of, sizes
from bench.peers.alternative import Alternative
from bench.peers.redis_requests import FAR_MS
from bench.peers.redis_server import (
    DUE,
    DURABILITY,
    PAYLOADS,
    START_SCRIPT,
    SYNCS,
    check_kept,
    load_script,
    redis_server,
)
from bench.run import Run
from bench.start_requests import PAYLOAD_JSON


def name_of(sync: str) -> str:
    """The rows of one setting."""
    return f"redis-py, {sync}"


def started(run: Run, sync: str) -> Mapping[str, float]:
    """A repetition with a new server."""
    warm_up, how_many = sizes(run)
    numbers = count()
    with redis_server(sync) as process, redis.Redis(host="127.0.0.1", port=process.port) as client:
        script = load_script(process, START_SCRIPT).decode()

        def start() -> None:
            timer_id = f"order/{next(numbers)}"
            assert client.evalsha(script, 2, DUE, PAYLOADS, timer_id, FAR_MS, PAYLOAD_JSON) == 1

        took_ms = each_ms(start, warm_up, how_many)
        check_kept(process, warm_up + how_many)
    return figures_of(name_of(sync), took_ms)


def alternatives(run: Run) -> list[Alternative]:
    """For the figure of one client."""
    made = []
    for sync in SYNCS:
        units = {f"{name_of(sync)}: rate": "a second", f"{name_of(sync)}: p50": "ms"}
        made.append(Alternative(units, DURABILITY[sync], partial(started, run, sync)))
    return made
