"""Durable starts a second by servers on PostgreSQL, beside jobs that are rows, in the same PostgreSQL.

It has a synchronous standby, and both wait for their disks. All clients wait for their answers, so the latencies are
those of clients that do nothing else. The clients' own work is in none of the costs.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path

from bench import servers as served
from bench.cpu_time import process_ns
from bench.generator import drive, zmtp
from bench.job_rows import COPY, INSERT, SEARCHED_TABLES, TABLES, Inserting, Insertion, check_inserted
from bench.latencies import latency_names, latency_rows
from bench.peers.alternative import Alternative, rows_of
from bench.results import Figure, Row, at_least, at_most
from bench.run import Run
from bench.servers import MAX_TIMERS, check_running
from bench.start_requests import batched, in_columns, start_requests
from drivers.postgres import OWNER, Cluster
from drivers.server_cluster import ServerCluster

SERVERS = (1, 2, 3)
SIZES = (1, 100, 500)
CLIENTS = 16
WARM_UP = 5_000
"""Starts, at the least; each client has a share."""

AIM_OF_ROWS = 5.0
AIM_A_SECOND = 100_000
AIM_SIZE = 100
REPLICATED = "fsync on primary and standby"

_numbers = count(1)


def name_of(servers: int, size: int) -> str:
    """The row of our starts."""
    return f"{servers} server{'s' if servers > 1 else ''}, batches of {size}"


def columns_name(size: int) -> str:
    """The row of our starts in columns, by one server."""
    return f"1 server, timer.start_many of {size}"


def rows_name(insertion: Insertion, is_searched: bool, size: int) -> str:
    """The row of jobs that are rows."""
    return f"rows by {insertion.name}{', with GIN' if is_searched else ''}, batches of {size}"


def costs(name: str) -> dict[str, str]:
    """The rows of what a start costs, each with its unit: what is written down of it, and the time of processors."""
    return {
        f"{name}: write-ahead log": "B/start",
        f"{name}: work of PostgreSQL": "µs/start",
        f"{name}: work of servers": "µs/start",
    }


def start_rate(run: Run, cluster: Cluster, servers: int, size: int) -> Mapping[str, float]:
    """Our starts, by so many servers."""
    return _rate(run, cluster, name_of(servers, size), servers, size, _in_batches)


def columns_rate(run: Run, cluster: Cluster, size: int) -> Mapping[str, float]:
    """Our starts in columns, by one server."""
    return _rate(run, cluster, columns_name(size), 1, size, in_columns)


def _in_batches(prefix: str, numbers: Sequence[int], size: int) -> list[bytes]:
    return batched(start_requests(prefix, numbers), size)


def _rate(
    run: Run,
    cluster: Cluster,
    name: str,
    servers: int,
    size: int,
    messages_of: Callable[[str, Sequence[int], int], list[bytes]],
) -> Mapping[str, float]:
    """Starts in messages of a size, and what they cost."""
    how_many = _sizes(run, size)
    url = cluster.new_place(f"place{next(_numbers)}")
    environment = {"TIMER_MAX_TIMERS": str(MAX_TIMERS), "TIMER_LOG_LEVEL": "info"}
    with (
        tempfile.TemporaryDirectory() as folder,
        ServerCluster(Path(folder), [url] * servers, environment, served.SERVED) as company,
    ):
        first, *others = [zmtp(server.commands) for server in company.servers]
        warm_up = _warm_up(size) * CLIENTS * size
        drive(first, messages_of("warm", range(warm_up), size), CLIENTS, 1, others)
        messages = messages_of("order", range(how_many), size)
        meter = _Meter(cluster, [server.pid for server in company.servers])
        outcome = drive(first, messages, CLIENTS, 1, others)
        cost = meter.of(name, how_many)
        assert b'"error"' not in outcome.last_reply
        check_running(company.servers[0], warm_up + how_many)
    return {name: how_many / outcome.took_s, **latency_rows(name, outcome.latencies_s), **cost}


def rows_rate(run: Run, cluster: Cluster, insertion: Insertion, is_searched: bool, size: int) -> Mapping[str, float]:
    """Jobs that are rows."""
    batches, name = _sizes(run, size) // size // CLIENTS, rows_name(insertion, is_searched, size)
    schema = f"place{next(_numbers)}"
    url = cluster.new_place(schema)
    tables = SEARCHED_TABLES if is_searched else TABLES
    cluster.primary.execute(f"set role {OWNER}; set search_path = {schema}; {tables}", database=OWNER)
    with Inserting(url, insertion, size, CLIENTS) as clients:
        clients.insert(_warm_up(size))
        meter = _Meter(cluster, [])
        rate, latencies_s = clients.insert(batches)
        cost = meter.of(name, len(latencies_s) * size)
    check_inserted(cluster.primary, schema, (_warm_up(size) * CLIENTS + len(latencies_s)) * size)
    return {name: rate, **latency_rows(name, latencies_s), **cost}


class _Meter:
    """What PostgreSQL has written down, and how long it and other processes have run, since it was made."""

    def __init__(self, cluster: Cluster, others: Sequence[int]) -> None:
        self._cluster = cluster
        self._others = others
        self._written = self._log_end()
        self._ran_before = self._ran()

    def of(self, name: str, starts: int) -> Mapping[str, float]:
        """The rows of what each of so many starts has cost."""
        ran_ns = {pid: ns - self._ran_before.get(pid, 0) for pid, ns in self._ran().items()}
        servers_ns = sum(ran_ns[pid] for pid in self._others)
        written = self._log_end() - self._written
        values = (written, (sum(ran_ns.values()) - servers_ns) / 1000, servers_ns / 1000)
        return {row: value / starts for row, value in zip(costs(name), values, strict=True)}

    def _log_end(self) -> int:
        ((end,),) = self._cluster.primary.execute("select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint")
        assert isinstance(end, int)
        return end

    def _ran(self) -> dict[int, int]:
        """Of each process that there is."""
        ran = {pid: process_ns(pid) for pid in self._others}
        for pid in (pid for node in self._cluster.nodes for pid in node.pids()):
            with suppress(FileNotFoundError, ProcessLookupError):  # a session of PostgreSQL that has just ended
                ran[pid] = process_ns(pid)
        return ran


def measure(run: Run, peers: Sequence[Alternative] = ()) -> Figure:
    """The table."""
    with Cluster(standbys=1, is_fsynced=True, **SETTINGS) as cluster:
        ways: list[Callable[[], Mapping[str, float]]] = []
        for size in SIZES:
            ways += [partial(start_rate, run, cluster, servers, size) for servers in SERVERS]
            ways += [partial(columns_rate, run, cluster, size)] if size > 1 else []
            ways += [partial(rows_rate, run, cluster, *way, size) for way in WAYS]
        samples = run.interleaved([*ways, *(peer.way for peer in peers)])
    rows = [row for size in SIZES for row in _table(samples, size)]
    return Figure(
        "postgres", "Durable starts on PostgreSQL with a synchronous standby", [*rows, *rows_of(peers, samples)]
    )


WAYS = ((INSERT, True), (INSERT, False), (COPY, False))
"""How rows are added, and whether the table has indexes over their arguments; the fastest way is there too."""

SETTINGS = {"shared_buffers": "256MB", "max_wal_size": "4GB", "log_min_messages": "error"}


def _table(samples: Mapping[str, list[float]], size: int) -> list[Row]:
    """The rows of one size. What is done in the same way as the libraries do it is the limit of ours."""
    made = []
    theirs = rows_name(*WAYS[0], size)
    for servers in SERVERS:
        made += _rows(samples, name_of(servers, size), theirs)
    if size > 1:
        made += _rows(samples, columns_name(size), theirs)
    for insertion, is_searched in WAYS:
        made += _rows(samples, rows_name(insertion, is_searched, size), "")
    if size > 1:
        for ours in (name_of(1, size), columns_name(size)):
            _aim({row.name: row for row in made}, ours, theirs, size)
    return made


def _aim(rows: Mapping[str, Row], ours: str, theirs: str, size: int) -> None:
    """Puts the aims to a row of ours: against rows, and of its own."""
    ratio = rows[ours].median / rows[theirs].median
    rows[ours].aims.append(at_least(f"{AIM_OF_ROWS:g} × rows ({ratio:.1f})", ratio, AIM_OF_ROWS))
    if size == AIM_SIZE:
        rows[ours].aims.append(at_least(f"{AIM_A_SECOND:,}/s", rows[ours].median, AIM_A_SECOND))
    p99 = f"{ours}: p99"
    rows[p99].aims.append(at_most("that of rows", rows[p99].median, rows[f"{theirs}: p99"].median))


def _rows(samples: Mapping[str, list[float]], name: str, limit: str) -> list[Row]:
    rate = Row(name, "starts/s", samples[name], limit, REPLICATED)
    units = {**latency_names(name), **costs(name)}
    return [rate, *(Row(one, unit, samples[one]) for one, unit in units.items() if any(samples[one]))]


def _warm_up(size: int) -> int:
    """Batches of each client before anything is timed."""
    return -(-WARM_UP // (size * CLIENTS))


def _sizes(run: Run, size: int) -> int:
    """How many starts: fewer in small batches, as each takes a commit's time."""
    return run.pick(800, 16_000) if size == 1 else run.pick(32_000, 400_000)
