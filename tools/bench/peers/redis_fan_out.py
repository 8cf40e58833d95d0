"""One message to many subscribers of a channel of Redis. Nothing is stored, and what nobody reads is gone."""

import socket
import time
from collections.abc import Mapping
from functools import partial

from bench.audience import audience
from bench.cpu_time import process_ns
from bench.fan_out import AT_ONCE, CHANGES, EVENT_BYTES, PAUSE_S, SUBSCRIBERS, TOPIC
from bench.peers.alternative import Alternative
from bench.peers.daemon import Daemon
from bench.peers.redis_server import redis_server, resp
from bench.run import Run
from bench.spread import median

CPU = "Redis, PUBLISH paced: CPU, a further subscriber"
TOGETHER_CPU = f"Redis, {AT_ONCE} PUBLISH in one piece, paced: CPU, a further subscriber"


def cpu_us(run: Run, how_many: int) -> tuple[float, float]:
    """The processor time that a message takes with so many subscribers: one alone, and one of several in one piece."""
    messages = run.pick(30, CHANGES // 3)
    with redis_server("everysec") as process, audience("redis", process.endpoint, TOPIC, how_many) as crowd:
        alone_us, together_us = (paced_us(process, how_many, messages, at_once) for at_once in (1, AT_ONCE))
    crowd.check(events=messages * (1 + AT_ONCE))
    return alone_us, together_us


def paced_us(process: Daemon, how_many: int, times: int, at_once: int) -> float:
    """The processor time of one of so many messages in one piece, with pauses between the pieces."""
    took_us = []
    publish = resp(b"PUBLISH", TOPIC.encode(), b"x" * EVENT_BYTES) * at_once
    with socket.create_connection(("127.0.0.1", process.port)) as client:
        for _ in range(times):
            begun_ns = process_ns(process.pid)
            client.sendall(publish)
            time.sleep(PAUSE_S)
            answers = client.recv(1 << 16)
            assert answers == b":%d\r\n" % how_many * at_once, f"Redis said {answers[:100]!r}"
            took_us.append((process_ns(process.pid) - begun_ns) / 1000 / at_once)
    return median(took_us)


def published(run: Run) -> Mapping[str, float]:
    """A repetition: what many subscribers cost more than one, shared out."""
    many = run.pick(50, SUBSCRIBERS)
    few_us, many_us = cpu_us(run, 1), cpu_us(run, many)
    added = [(after - before) / (many - 1) for before, after in zip(few_us, many_us, strict=True)]
    return dict(zip((CPU, TOGETHER_CPU), added, strict=True))


def alternatives(run: Run) -> list[Alternative]:
    """For the figure of many subscribers."""
    return [Alternative(dict.fromkeys((CPU, TOGETHER_CPU), "µs"), "none", partial(published, run))]
