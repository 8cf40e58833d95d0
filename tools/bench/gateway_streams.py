"""What a gateway with a thousand open streams costs a busy server, and whether its streams lose anything."""

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from subprocess import Popen
from tempfile import TemporaryDirectory
from threading import Event, Thread

import zmq

from bench import control_groups
from bench.control_groups import group
from bench.cpu_time import process_ns
from bench.lateness import FIRST_DUE_S, Latenesses, start_spread
from bench.listening import PARTS, heard_by, watcher
from bench.loaded_lateness import RATE, STARTS_A_SECOND, Pouring
from bench.results import Figure, Row, at_least, at_most
from bench.run import Run
from bench.servers import line_of, python_process, server
from bench.spread import percentile
from bench.start_requests import batched
from bench.stream_readers import stream_id
from drivers.peers import requester, socket_to
from drivers.program import Program
from drivers.server_process import SERVICES, TOOLS, ServerProcess

GATEWAY = "timer_gateway"
"""What is run as the gateway. Tests of the guard put a slowed one there."""

STREAMS = 1_000
REQUESTS_A_SECOND = 500
SPREAD_S = 60.0
TIMERS = 10_000
TICKS_A_SECOND = 10
SETTLE_S = 2.0
AIM_WORSE = 1.10
AIM_TOLD = 0.9
"""Of one event a second of each stream. With fewer there was not the load of which the other rows tell."""

WITHOUT, WITH = "without a gateway", "beside a gateway"
DIRECT = "without one, the same requests asked of the server"
LOST = "events of the streams that were lost"
MISPLACED = "events told twice, out of order or to the wrong stream"
NOTICES = "streams told that the server is away or events are gone"
TOLD = "events told by the streams"
AT_STREAM = "event until its stream has it"
ANSWERED = f"{REQUESTS_A_SECOND} requests/s: due until answered"
FAILED = "requests not answered with 200"
CPU = "gateway's CPU"


class Changing:
    """Changes the timer of each stream once a second while entered. Leaving raises RuntimeError where one failed."""

    def __init__(self, endpoint: str, streams: int) -> None:
        self._endpoint = endpoint
        share = -(-streams // TICKS_A_SECOND)
        requests = [
            b'{"jsonrpc":"2.0","id":%d,"method":"timer.extend","params":{"id":"%s","seconds":1}}'
            % (number, stream_id(number).encode())
            for number in range(streams)
        ]
        self._messages = batched(requests, share)
        self._stop = Event()
        self._has_ended = False
        self._thread = Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Changing":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)
        if not self._has_ended:
            raise RuntimeError("the timers of the streams were not changed to the end")

    def _run(self) -> None:
        with socket_to(zmq.DEALER, self._endpoint, sndhwm=0, rcvhwm=0) as socket:
            begun_s, sent = time.perf_counter(), 0
            while not self._stop.is_set():
                socket.send(self._messages[sent % len(self._messages)])
                assert b'"error"' not in socket.recv()
                sent += 1
                time.sleep(max(0.0, begun_s + sent / TICKS_A_SECOND - time.perf_counter()))
        self._has_ended = True


@contextmanager
def gateway(process: ServerProcess, within: tuple[str, ...] = ()) -> Iterator[tuple[int, int]]:
    """A gateway in front of a server: its port and its process. `within` is a command that runs it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TIMER_")}
    variables = {
        "PYTHONPATH": f"{SERVICES}{os.pathsep}{TOOLS}",
        "TIMER_SERVER": process.commands,
        "TIMER_EVENTS": process.events,
        "TIMER_GATEWAY_BIND": "127.0.0.1:0",
        "TIMER_GATEWAY_TOKENS": "none",
        "TIMER_LOG_FORMAT": "json",
    }
    with TemporaryDirectory() as folder:
        program = Program([*within, sys.executable, "-m", GATEWAY], {**inherited, **variables}, Path(folder))
        try:
            listening = json.loads(program.expect(r'\{[^\n]*"event":"listening"[^\n]*\}').group())
            yield int(listening["http"].rpartition(":")[2]), program.pid
        finally:
            program.close()


@contextmanager
def deployed_server() -> Iterator[ServerProcess]:
    """A server with the weight for processor time that the files in deploy/ give it, where this machine allows."""
    with group(control_groups.SERVER) as within, server(within=within) as process:
        yield process


def start_streams_timers(process: ServerProcess, streams: int) -> None:
    """Starts the timer of each stream."""
    with requester(process.commands) as rpc:
        for number in range(streams):
            rpc.call("timer.start", id=stream_id(number), hours=1)


def final_versions(process: ServerProcess, streams: int) -> list[int]:
    """The version of each stream's timer, once they are changed no more."""
    with requester(process.commands) as rpc:
        return [rpc.call("timer.get", id=stream_id(number))["version"] for number in range(streams)]


def size(run: Run) -> tuple[int, float, int]:
    """How many timers end, over how many seconds, and how many streams there are."""
    return run.pick((500, 5.0, 100), (TIMERS, SPREAD_S, STREAMS))


def without(run: Run, heard: Latenesses) -> Mapping[str, float]:
    """A repetition with a new server, on which as many timers change, and no gateway."""
    how_many, _, streams = size(run)
    with deployed_server() as process, watcher(process.events, "late/", how_many) as listener:
        start_streams_timers(process, streams)
        return _under_load(process, listener, heard, WITHOUT, run)


def without_but_asked(run: Run, heard: Latenesses) -> Mapping[str, float]:
    """A repetition with a new server and no gateway, in which what a gateway is asked is asked of the server."""
    how_many, spread_s, streams = size(run)
    with deployed_server() as process, watcher(process.events, "late/", how_many) as listener:
        start_streams_timers(process, streams)
        asking = (process.commands, str(REQUESTS_A_SECOND), str(spread_s + FIRST_DUE_S))
        with python_process("bench.direct_requests", *asking) as requests:
            _tell(requests, "go")
            rows = _under_load(process, listener, heard, DIRECT, run)
            failed = json.loads(line_of(requests))["failed"]
    if failed:
        raise AssertionError(f"{failed} requests were not answered with a timer")
    return rows


def beside(run: Run, heard: Latenesses) -> Mapping[str, float]:
    """A repetition with a new server and a gateway, which has its weight of the files in deploy/ where that can be."""
    how_many, spread_s, streams = size(run)
    lasts_s = spread_s + FIRST_DUE_S
    with (
        deployed_server() as process,
        watcher(process.events, "late/", how_many) as listener,
        group(control_groups.GATEWAY) as within,
        gateway(process, within) as (port, pid),
    ):
        start_streams_timers(process, streams)
        reading = ("bench.stream_readers", str(port), str(streams), str(SETTLE_S))
        asking = ("bench.http_requests", str(port), str(REQUESTS_A_SECOND), str(lasts_s))
        with python_process(*reading) as readers, python_process(*asking) as requests:
            assert line_of(readers) == "listening"
            used_ns, begun_s = process_ns(pid), time.perf_counter()
            for told in (readers, requests):
                _tell(told, "go")
            rows = _under_load(process, listener, heard, WITH, run)
            percent = (process_ns(pid) - used_ns) / 1e9 / (time.perf_counter() - begun_s) * 100
            _tell(readers, json.dumps(final_versions(process, streams)))
            read, asked = (json.loads(line_of(told)) for told in (readers, requests))
    return {
        **rows,
        LOST: read["missing"],
        MISPLACED: read["misplaced"],
        NOTICES: read["notices"],
        TOLD: read["events"] / read["took_s"],
        FAILED: asked["failed"],
        CPU: percent,
        **_percentiles(AT_STREAM, read["late_ms"]),
        **_percentiles(ANSWERED, asked["took_ms"]),
    }


def _under_load(
    process: ServerProcess, listener: "Popen[str]", heard: Latenesses, name: str, run: Run
) -> Mapping[str, float]:
    how_many, spread_s, streams = size(run)
    with Pouring(process.commands, FIRST_DUE_S + spread_s + 30) as pouring, Changing(process.commands, streams):
        start_spread(process, how_many, spread_s)
        rows = heard.rows(name, heard_by(listener).never_early())
    return {**rows, f"{RATE}, {name}": pouring.rate}


def _tell(process: "Popen[str]", line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def _percentiles(name: str, values_ms: list[float]) -> Mapping[str, float]:
    ordered = sorted(values_ms)
    values = (percentile(ordered, 50), percentile(ordered, 99), ordered[-1])
    return {f"{name}: {part}": value for part, value in zip(PARTS, values, strict=True)}


def measure(run: Run) -> Figure:
    """The table."""
    heard = Latenesses()
    samples = run.interleaved(partial(way, run, heard) for way in (without, beside, without_but_asked))
    names = (WITHOUT, WITH, DIRECT)
    rows = [Row(f"{name}: {part}", "ms", samples[f"{name}: {part}"]) for name in names for part in PARTS]
    p99s = {name: next(row for row in rows if row.name == f"{name}: p99") for name in names}
    ours = p99s[WITH]
    for name, said in ((WITHOUT, "without"), (DIRECT, "that with the requests alone")):
        bound = p99s[name].median
        ours.aims.append(
            at_most(f"{AIM_WORSE:.2f} × {said} ({ours.median / bound:.2f})", ours.median, bound * AIM_WORSE)
        )
    rows += [Row(f"{RATE}, {name}", "starts/s", samples[f"{RATE}, {name}"]) for name in names]
    rows += [
        Row(f"{name}: {part}", "ms", samples[f"{name}: {part}"]) for name in (AT_STREAM, ANSWERED) for part in PARTS
    ]
    rows.append(Row(CPU, "% of a core", samples[CPU]))
    told, streams = Row(TOLD, "events/s", samples[TOLD]), size(run)[-1]
    told.aims.append(at_least(f"{AIM_TOLD} × {streams:,}", min(told.samples), AIM_TOLD * streams))
    rows.append(told)
    for name, unit in ((LOST, "events"), (MISPLACED, "events"), (NOTICES, "messages"), (FAILED, "requests")):
        rows.append(Row(name, unit, samples[name]))
        rows[-1].aims.append(at_most("0", max(samples[name]), 0))
    return Figure("gateway", "Streams of a gateway beside a busy server", rows, [NOTE, _weights()], heard.curves())


def _weights() -> str:
    with group(control_groups.USUAL) as within:
        if within:
            return WEIGHTED
    return UNWEIGHTED


NOTE = (
    f"{TIMERS:,} timers end over {SPREAD_S:.0f} s and are heard by a watcher, while {STARTS_A_SECOND:,} starts a"
    f" second arrive and {STREAMS:,} timers are changed once a second each. A gateway beside that has {STREAMS:,}"
    f" streams open, each on the prefix of one of those timers, and answers {REQUESTS_A_SECOND} requests a second. Lost"
    f" is each change that the server has made and that has not come over its stream {SETTLE_S:.0f} s after the last."
    " Late is an end at the watcher, as in the other tables. Without a gateway as many timers change, and in the"
    " third case its requests go to the server, over ZeroMQ. The programs that read the streams and ask stand for other"
    " machines: they have a processor while nobody else wants it (`SCHED_IDLE`)."
)
WEIGHTED = (
    f"Server and gateway have the weights for processor time of the files in deploy/: {control_groups.SERVER} and"
    f" {control_groups.GATEWAY}, where each other program of the figure has {control_groups.USUAL}."
)
UNWEIGHTED = "All programs share the processors alike: this machine lets nobody make a control group with a weight."
