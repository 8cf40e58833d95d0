"""How late ends are heard, in a quiet server and in one with many timers pending."""

from collections.abc import Callable, Mapping
from functools import partial

from bench.generator import drive, zmtp
from bench.listening import PARTS, Lateness, heard_by, percentile_curve, watcher
from bench.peers.alternative import Alternative
from bench.peers.alternative import rows_of as peer_rows
from bench.results import Curve, Figure, Row, at_most
from bench.run import Run
from bench.servers import disk_folder, line_of, python_process, server
from bench.start_requests import batched, start_request
from drivers.server_process import ServerProcess

TIMERS = 10_000
SPREAD_S = 10.0
FIRST_DUE_S = 2.0
PENDING = (0, 200_000, 1_000_000)
AIM_P50_MS = 0.3
AIM_P99_MS = 1.0
HOP = "limit: bare timer, write and fsync, PUB/SUB hop"


class Latenesses:
    """Everything that was heard, by the name of its row, for the curves."""

    def __init__(self) -> None:
        self._late_ms: dict[str, list[float]] = {}

    def rows(self, name: str, lateness: Lateness) -> Mapping[str, float]:
        """The rows of a repetition, which is kept."""
        self._late_ms.setdefault(name, []).extend(lateness.late_ms)
        return lateness.rows(name)

    def curves(self) -> list[Curve]:
        """Percentiles over all repetitions."""
        return [Curve(name, *percentile_curve(late_ms)) for name, late_ms in self._late_ms.items()]


def size(run: Run) -> tuple[int, float]:
    """How many timers, over how many seconds."""
    return run.pick((1_000, 1.0), (TIMERS, SPREAD_S))


def start_spread(process: ServerProcess, how_many: int, spread_s: float) -> None:
    """Starts timers that are due one after the other."""
    requests = [
        start_request(f"late/{number}", FIRST_DUE_S + spread_s * number / how_many, number)
        for number in range(how_many)
    ]
    reply = drive(zmtp(process.commands), batched(requests, 100), 1, 8).last_reply
    assert b'"error"' not in reply


def name_of(pending: int) -> str:
    """The row of a server with so many others pending."""
    return f"{pending:,} others pending"


def heard_late(run: Run, heard: Latenesses, pending: int) -> Mapping[str, float]:
    """A repetition with a new server."""
    how_many, spread_s = size(run)
    with server(pending) as process, watcher(process.events, "late/", how_many) as listener:
        start_spread(process, how_many, spread_s)
        return heard.rows(name_of(pending), heard_by(listener).never_early())


def hop(run: Run, heard: Latenesses) -> Mapping[str, float]:
    """A repetition of the limit."""
    how_many, spread_s = size(run)
    with (
        disk_folder() as folder,
        python_process("bench.hop", str(folder / "written"), str(how_many), str(spread_s)) as publisher,
        watcher(line_of(publisher), "late/", how_many) as listener,
    ):
        assert publisher.stdin is not None
        publisher.stdin.write("go\n")
        publisher.stdin.flush()
        return heard.rows(HOP, heard_by(listener).never_early())


def rows_of(name: str, samples: Mapping[str, list[float]], durability: str) -> list[Row]:
    """The rows of one name."""
    limits = {part: f"{HOP}: {part}" for part in PARTS}
    return [
        Row(f"{name}: {part}", "ms", samples[f"{name}: {part}"], "" if name == HOP else limit, durability)
        for part, limit in limits.items()
    ]


def measure(run: Run, peers_of: Callable[[Run, Latenesses], list[Alternative]]) -> Figure:
    """The table and the lines of the plot."""
    heard = Latenesses()
    peers = peers_of(run, heard)
    pending = run.pick((0, 20_000), PENDING)
    samples = run.interleaved(
        [
            partial(hop, run, heard),
            *(partial(heard_late, run, heard, count) for count in pending),
            *(peer.way for peer in peers),
        ]
    )
    rows = rows_of(HOP, samples, "fsync before the event")
    for count in pending:
        p50, p99, longest = rows_of(name_of(count), samples, "fsync before the event")
        p50.aims.append(at_most(f"{AIM_P50_MS} ms", p50.median, AIM_P50_MS))
        p99.aims.append(at_most(f"{AIM_P99_MS} ms", p99.median, AIM_P99_MS))
        rows += [p50, p99, longest]
    rows += peer_rows(peers, samples)
    return Figure("lateness", "Lateness at a watcher", rows, [NOTE], heard.curves())


NOTE = (
    f"{TIMERS:,} timers, due over {SPREAD_S:.0f} s. Late is the moment at which a watcher in a process of its own"
    " has the event, less `due_at_ms`, a whole millisecond, both by the wall clock. With peers, what polls or takes"
    " jobs is the watcher; beanstalkd had 4,000 jobs over 4 s. Percentiles of each repetition; the median of those is"
    " shown."
)
