"""Durable cancels a second in Redis, in the fewest commands that there can be."""

from collections.abc import Mapping
from functools import partial

from bench.cancels import IN_FLIGHT, SIZE
from bench.generator import drive, lines
from bench.peers.alternative import Alternative
from bench.peers.redis_requests import bulk
from bench.peers.redis_server import DUE, DURABILITY, PAYLOADS, SYNCS, check_kept, redis_server, resp
from bench.peers.redis_starts import INTEGER
from bench.run import Run


def name_of(sync: str, clients: int) -> str:
    """The row of a number of clients."""
    return f"Redis, {sync}: HDEL and ZREM of {SIZE}, {clients} client{'s' if clients > 1 else ''}"


def rate(run: Run, sync: str, clients: int) -> Mapping[str, float]:
    """Cancels a second, two replies for each message."""
    how_many = run.pick(20_000, 200_000)
    with redis_server(sync) as process:
        target = lines(process.endpoint, INTEGER, lines_a_reply=2)
        drive(target, bulk("order", range(how_many), SIZE), 1, 1)
        messages = []
        for at in range(0, how_many, SIZE):
            ids = [f"order/{number}".encode() for number in range(at, at + SIZE)]
            messages.append(resp(b"HDEL", PAYLOADS.encode(), *ids) + resp(b"ZREM", DUE.encode(), *ids))
        outcome = drive(target, messages, clients, IN_FLIGHT // clients)
        check_kept(process, 0)
    return {name_of(sync, clients): how_many / outcome.took_s}


def in_bulk(run: Run) -> list[Alternative]:
    """For the figure of cancels."""
    return [
        Alternative({name_of(sync, clients): "cancels/s"}, DURABILITY[sync], partial(rate, run, sync, clients))
        for sync in SYNCS
        for clients in (1, 4)
    ]
