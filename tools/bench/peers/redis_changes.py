"""Durable changes a second in Redis: a script call for a page of timers, as there is no command that changes many."""

from collections.abc import Mapping
from functools import partial

from bench.changes import CLIENTS, IN_FLIGHT, SIZE, VERBS
from bench.generator import drive, lines
from bench.peers.alternative import Alternative
from bench.peers.redis_requests import FAR_MS, bulk
from bench.peers.redis_server import DUE, DURABILITY, SYNCS, load_script, redis_server, resp
from bench.peers.redis_starts import INTEGER
from bench.run import Run

PAUSED = "paused"
"""A hash of what is to go of each paused timer. Its keys are not due."""

_OF_EACH = {
    "extend": "if redis.call('ZSCORE', KEYS[1], id) then redis.call('ZINCRBY', KEYS[1], 60000, id) done = done + 1 end",
    "restart": "done = done + redis.call('ZADD', KEYS[1], 'XX', 'CH', now + 3600000, id)",
    "pause": (
        "local due = redis.call('ZSCORE', KEYS[1], id)"
        " if due then redis.call('ZREM', KEYS[1], id) redis.call('HSET', KEYS[2], id, due - now) done = done + 1 end"
    ),
    "resume": (
        "local left = redis.call('HGET', KEYS[2], id)"
        " if left then redis.call('HDEL', KEYS[2], id) redis.call('ZADD', KEYS[1], now + left, id) done = done + 1 end"
    ),
}
"""What is done to each id at a moment in milliseconds, and counted if it is done."""

SCRIPTS = {
    verb: "local done, now = 0, tonumber(ARGV[1])"
    f" for place = 2, #ARGV do local id = ARGV[place] {of_each} end return done"
    for verb, of_each in _OF_EACH.items()
}
"""One for each change: the moment, and then the ids."""

NOW_MS = FAR_MS - 7_200_000


def name_of(sync: str, verb: str) -> str:
    """The row of a change."""
    return f"Redis, {sync}: {verb}, a script call for {SIZE}"


def rates(run: Run, sync: str) -> Mapping[str, float]:
    """Changes a second of a new server's timers."""
    how_many = run.pick(20_000, 200_000)
    found: dict[str, float] = {}
    with redis_server(sync) as process:
        drive(lines(process.endpoint, INTEGER, lines_a_reply=2), bulk("order", range(how_many), SIZE), 1, 1)
        for verb in VERBS:
            call = (b"EVALSHA", load_script(process, SCRIPTS[verb]), b"2", DUE.encode(), PAUSED.encode())
            messages = []
            for at in range(0, how_many, SIZE):
                ids = [f"order/{number}".encode() for number in range(at, at + SIZE)]
                messages.append(resp(*call, b"%d" % NOW_MS, *ids))
            outcome = drive(lines(process.endpoint, INTEGER), messages, CLIENTS, IN_FLIGHT // CLIENTS)
            found[name_of(sync, verb)] = how_many / outcome.took_s
            due = 0 if verb == "pause" else how_many
            counts = [process.ask(resp(b"ZCARD", DUE.encode())), process.ask(resp(b"HLEN", PAUSED.encode()))]
            assert counts == [b":%d\r\n" % due, b":%d\r\n" % (how_many - due)], counts
            assert outcome.last_reply.strip() == b":%d" % SIZE, outcome.last_reply
    return found


def in_pages(run: Run) -> list[Alternative]:
    """For the figure of changes."""
    return [
        Alternative({name_of(sync, verb): "changes/s" for verb in VERBS}, DURABILITY[sync], partial(rates, run, sync))
        for sync in SYNCS
    ]
