"""Durable cancels a second: many timers in a request, one in each of a batch, and in Redis by as few commands."""

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
CLIENTS = (1, 4)
IN_FLIGHT = 16
FSYNCED = "fsync before the reply"


def together(ids: Sequence[str]) -> bytes:
    """One request for so many timers."""
    named = ",".join(f'"{timer_id}"' for timer_id in ids).encode()
    return b'{"jsonrpc":"2.0","id":1,"method":"timer.change_many","params":{"action":"cancel","ids":[%b]}}' % named


def one_by_one(ids: Sequence[str]) -> bytes:
    """A batch with a request for each."""
    single = '{"jsonrpc":"2.0","id":1,"method":"timer.cancel","params":{"id":"%s"}}'
    return f"[{','.join(single % timer_id for timer_id in ids)}]".encode()


def name_of(request: Callable[[Sequence[str]], bytes], clients: int) -> str:
    """The row of a way."""
    what = f"timer.change_many of {SIZE}" if request is together else f"batches of {SIZE} single cancels"
    return f"{what}, {clients} client{'s' if clients > 1 else ''}"


def rate(run: Run, request: Callable[[Sequence[str]], bytes], clients: int) -> Mapping[str, float]:
    """Cancels a second of a new server's timers."""
    how_many = run.pick(20_000, 200_000)
    ids = [f"order/{number}" for number in range(how_many)]
    with server() as process:
        drive(zmtp(process.commands), in_columns("order", range(how_many), SIZE), 1, 1)
        messages = [request(ids[at : at + SIZE]) for at in range(0, how_many, SIZE)]
        outcome = drive(zmtp(process.commands), messages, clients, IN_FLIGHT // clients)
        with requester(process.commands) as rpc:
            counts = rpc.call("server.info")["counts"]
    assert (counts["cancelled"], counts["running"]) == (how_many, 0), counts
    return {name_of(request, clients): how_many / outcome.took_s}


def measure(run: Run, peers: Sequence[Alternative] = ()) -> Figure:
    """The table."""
    asked = [(request, clients) for request in (together, one_by_one) for clients in CLIENTS]
    ways: list[Way] = [partial(rate, run, request, clients) for request, clients in asked]
    samples = run.interleaved([*ways, *(peer.way for peer in peers)])
    names = [name_of(request, clients) for request, clients in asked]
    rows = [Row(name, "cancels/s", samples[name], durability=FSYNCED) for name in names]
    return Figure("cancels", "Durable cancels", [*rows, *rows_of(peers, samples)], notes=[NOTE])


NOTE = (
    f"{IN_FLIGHT} messages in flight in all. Each cancels timers that were started before anything is timed, and the"
    " server counts them afterwards."
)
