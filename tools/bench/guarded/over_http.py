"""A gateway: a request over HTTP, and an event that one of its streams tells."""

from http.client import HTTPConnection

from bench.gateway_streams import gateway, start_streams_timers
from bench.generator import drive, zmtp
from bench.guarded.costs import Echo, cost_us, echo
from bench.guarded.ratio import Ratio, Ratios, medians
from bench.servers import server
from bench.start_requests import batched
from bench.stream_readers import Stream, begun, stream_id
from drivers.server_process import ServerProcess

REPETITIONS = 3
REQUESTS = 100
STREAMS, CHANGES = 20, 20

REQUEST = Ratio("an echo of the only client against a request to a gateway", 0.03)
STREAMED = Ratio("an echo against an event that a gateway's stream tells", 0.2)


def measured() -> Ratios:
    """Both, with an echo beside."""
    with server() as process, gateway(process) as (port, pid), echo() as reference:
        start_streams_timers(process, STREAMS)
        streams = begun(port, STREAMS)
        try:
            _once(process, port, pid, streams, reference)  # warms up
            return medians([_once(process, port, pid, streams, reference) for _ in range(REPETITIONS)])
        finally:
            for stream in streams:
                stream.tcp.close()


def _once(process: ServerProcess, port: int, pid: int, streams: list[Stream], reference: Echo) -> Ratios:
    crowd_us, alone_us = reference.crowd_us(), reference.alone_us()
    request_us = cost_us(pid, REQUESTS, lambda: _ask(port))
    event_us = cost_us(pid, STREAMS * CHANGES, lambda: _change_and_read(process, streams))
    return {REQUEST: alone_us / request_us, STREAMED: crowd_us / event_us}


def _ask(port: int) -> None:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    for _ in range(REQUESTS):
        connection.request("GET", f"/timer?id={stream_id(0)}")
        response = connection.getresponse()
        response.read()
        assert response.status == 200, response.status
    connection.close()


def _change_and_read(process: ServerProcess, streams: list[Stream]) -> None:
    """Changes the timer of each stream some times, and reads until all have told all of it."""
    extend = b'{"jsonrpc":"2.0","id":1,"method":"timer.extend","params":{"id":"%b","seconds":1}}'
    changes = [extend % stream_id(number).encode() for number in range(len(streams))] * CHANGES
    drive(zmtp(process.commands), batched(changes, len(streams)), 1, 1)
    for stream in streams:
        stream.tcp.settimeout(30)
        told = b""
        while told.count(b'"kind"') < CHANGES:
            told += stream.read()
