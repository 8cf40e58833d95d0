"""Durable changes a second: timers that are paused, resumed, extended and restarted, in pages and one by one."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from bench.generator import drive, zmtp
from bench.peers.alternative import Alternative, rows_of
from bench.results import Figure, Row
from bench.run import Run, Way
from bench.servers import server
from bench.start_requests import in_columns
from drivers.peers import requester

SIZE = 500
CLIENTS = 4
IN_FLIGHT = 16
FSYNCED = "fsync before the reply"

VERBS = ("extend", "restart", "pause", "resume")
"""In the order in which they are measured: each timer is changed by all of them."""

MADE_BY = {
    "extend": b',"seconds":60,"key":"e"',
    "restart": b',"key":"r"',
    "pause": b"",
    "resume": b"",
}
"""What is asked with each, besides whose timers."""


def in_pages(verb: str, ids: Sequence[str]) -> bytes:
    """One request for so many timers."""
    named = ",".join(f'"{timer_id}"' for timer_id in ids).encode()
    asked = b'"action":"%b","ids":[%b]%b' % (verb.encode(), named, MADE_BY[verb])
    return b'{"jsonrpc":"2.0","id":1,"method":"timer.change_many","params":{%b}}' % asked


def one_by_one(verb: str, ids: Sequence[str]) -> bytes:
    """A batch with a request for each."""
    begin = b'{"jsonrpc":"2.0","id":1,"method":"timer.%b","params":{"id":"' % verb.encode()
    return b"[%b]" % b",".join(b'%b%b"%b}}' % (begin, timer_id.encode(), MADE_BY[verb]) for timer_id in ids)


def name_of(request: Callable[[str, Sequence[str]], bytes], verb: str) -> str:
    """The row of a way."""
    what = f"timer.change_many of {SIZE}" if request is in_pages else f"batches of {SIZE} single requests"
    return f"{verb}: {what}"


def rates(run: Run, request: Callable[[str, Sequence[str]], bytes]) -> Mapping[str, float]:
    """Changes a second of a new server's timers."""
    how_many = run.pick(20_000, 200_000)
    ids = [f"order/{number}" for number in range(how_many)]
    found: dict[str, float] = {}
    with server() as process, requester(process.commands) as rpc:
        drive(zmtp(process.commands), in_columns("order", range(how_many), SIZE), 1, 1)
        for version, verb in enumerate(VERBS, 2):
            messages = [request(verb, ids[at : at + SIZE]) for at in range(0, how_many, SIZE)]
            outcome = drive(zmtp(process.commands), messages, CLIENTS, IN_FLIGHT // CLIENTS)
            found[name_of(request, verb)] = how_many / outcome.took_s
            info, state = rpc.call("server.info"), "paused" if verb == "pause" else "running"
            assert info["counts"][state] == how_many, info["counts"]
            assert [log["seq"] for log in info["logs"].values()] == [version * how_many], info["logs"]
    return found


def measure(run: Run, peers: Sequence[Alternative] = ()) -> Figure:
    """The table."""
    ways: list[Way] = [partial(rates, run, request) for request in (in_pages, one_by_one)]
    samples = run.interleaved([*ways, *(peer.way for peer in peers)])
    names = [name_of(request, verb) for verb in VERBS for request in (in_pages, one_by_one)]
    rows = [Row(name, "changes/s", samples[name], durability=FSYNCED) for name in names]
    return Figure("changes", "Durable changes", [*rows, *rows_of(peers, samples)], notes=[NOTE])


NOTE = (
    f"{CLIENTS} clients, {IN_FLIGHT} messages in flight in all. Timers are started before anything is timed, and each"
    " is changed by all four; the server counts them, and their events, after each. Redis has no command for many of"
    " them: it runs one script for a page."
)
