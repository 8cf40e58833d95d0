"""Attacks by sheer amount: floods, idle connections, peers that never read. Each is measured beside honest calls."""

import json
import resource
import selectors
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from campaigns.campaign import Length, Report
from campaigns.target import Honest
from drivers.memory import MIB, resident_bytes
from drivers.peers import request
from drivers.raw_zmtp import RawPeer, command, frame, message, raw_peer
from drivers.server_process import ServerProcess
from timer_server.limits import EVENTS_BYTES, PEER_BACKLOG_BYTES

P99_LIMIT_MS = 1000
"""For the honest client beside a flood: generous, as machines differ. The figure is what counts."""

_SPARE_DESCRIPTORS = 500
_BATCH = 100


def percentiles(latencies_ms: list[float]) -> str:
    """What half of the calls stayed below, and all but one of a hundred."""
    p50, p99 = latencies_ms[len(latencies_ms) // 2], latencies_ms[len(latencies_ms) * 99 // 100]
    return f"p50 {p50:.2f} ms, p99 {p99:.2f} ms, most {latencies_ms[-1]:.1f} ms"


def floods(server: ServerProcess, honest: Honest, length: Length, report: Report) -> None:
    """One client that sends batches as fast as they are taken, while another asks one thing at a time."""
    calls = length.pick(200, 3_000)
    alone = honest.latencies_ms(calls)
    honest.start("flood/", _BATCH, hours=1)
    restarts = [request("timer.restart", number, id=f"flood/{number}") for number in range(_BATCH)]
    lists = [request("timer.list", number, limit=1000) for number in range(_BATCH)]
    for name, batch in (("restarts", restarts), ("timer.list", lists), ("nonsense", [1] * 1000)):
        with _flooding(server.commands, message(json.dumps(batch).encode())) as messages:
            beside = honest.latencies_ms(calls)
        report.faults += 1
        report.figures[f"honest latency beside a flood of {name}"] = (
            f"{percentiles(beside)} (alone: {percentiles(alone)}); {len(messages):,} messages in the flood"
        )
        if beside[len(beside) * 99 // 100] > P99_LIMIT_MS:
            report.violations.append(f"a flood of {name} keeps an honest client waiting: {percentiles(beside)}")


def idle_connections(server: ServerProcess, honest: Honest, length: Length, report: Report) -> None:
    """Connections that have shaken hands and only answer heartbeats."""
    wanted = length.pick(1_000, 10_000)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    server_may = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)[0]
    count = min(wanted, hard - _SPARE_DESCRIPTORS, server_may - _SPARE_DESCRIPTORS)
    before = resident_bytes(server.pid)
    with _idling(server.commands, count) as cut_off:
        used = resident_bytes(server.pid) - before
        latencies = honest.latencies_ms(1_000)
        lost = len(cut_off)
    report.faults += count
    fewer = "" if count == wanted else f" (of {wanted:,}: the limit of descriptors is {min(hard, server_may):,})"
    report.figures["idle connections"] = f"{count:,}{fewer}, {used / count / 1024:.1f} KiB of the server's memory each"
    report.figures["honest latency beside idle connections"] = percentiles(latencies)
    if lost:
        report.violations.append(f"{lost} of {count} idle connections were cut off")


def deaf_peer(server: ServerProcess, honest: Honest, length: Length, report: Report) -> None:
    """A peer that asks for large pages and never reads."""
    honest.start("large/", 15, hours=1, payload="x" * 60_000)
    page = 15 * 60_000
    asks = length.pick(200, 2_000)
    before = resident_bytes(server.pid)
    with raw_peer(server.commands) as deaf:
        ask = message(json.dumps(request("timer.list", 1, prefix="large/")).encode())
        last = message(json.dumps(request("timer.start", 2, id="deaf/last", hours=1)).encode())
        deaf.shake_hands(b"DEALER").send(ask * asks + last)
        worst = honest.wait_until_started("deaf/last")
        grown = resident_bytes(server.pid) - before
    report.faults += 1
    report.figures["a peer that never reads"] = (
        f"asked for {asks * page / MIB:,.0f} MiB: the server grew by {grown / MIB:.0f} MiB; "
        f"honest latency at most {worst * 1000:.0f} ms"
    )
    if grown > PEER_BACKLOG_BYTES + 64 * MIB:
        report.violations.append(f"a peer that never reads made the server grow by {grown / MIB:.0f} MiB")


def deaf_subscriber(server: ServerProcess, honest: Honest, length: Length, report: Report) -> None:
    """A subscriber that never reads, while many events pass."""
    events = length.pick(20_000, 200_000)
    honest.start("deaf/", 1000, hours=1)
    before = resident_bytes(server.pid)
    with raw_peer(server.events) as deaf:
        deaf.shake_hands(b"SUB").send(frame(b"\x01"))
        deaf.receive(1)
        for _ in range(events // 1000):
            honest.batch([request("timer.restart", number, id=f"deaf/{number}") for number in range(1000)])
        grown = resident_bytes(server.pid) - before
    report.faults += 1
    report.figures["a subscriber that never reads"] = (
        f"{events:,} events passed: the server grew by {grown / MIB:.0f} MiB"
    )
    if grown > EVENTS_BYTES + 64 * MIB:
        report.violations.append(f"a subscriber that never reads made the server grow by {grown / MIB:.0f} MiB")


@contextmanager
def _flooding(endpoint: str, one: bytes) -> Iterator[list[None]]:
    """Sends a message again and again, and reads what comes. The list grows by one with each of them."""
    sent: list[None] = []
    with raw_peer(endpoint) as peer:
        peer.shake_hands(b"DEALER")
        threads = [
            threading.Thread(target=_send_until_closed, args=(peer, one, sent), daemon=True),
            threading.Thread(target=_read_until_closed, args=(peer,), daemon=True),
        ]
        for thread in threads:
            thread.start()
        yield sent
        peer.shut_down()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive(), "the flood does not end"


def _send_until_closed(peer: RawPeer, one: bytes, sent: list[None]) -> None:
    try:
        while True:
            peer.send(one)
            sent.append(None)
    except OSError:
        return


def _read_until_closed(peer: RawPeer) -> None:
    try:
        while peer.tcp.recv(1 << 20):
            pass
    except OSError:
        return


@contextmanager
def _idling(endpoint: str, count: int) -> Iterator[list[RawPeer]]:
    """So many connections that answer heartbeats. The list has those that were cut off all the same."""
    cut_off: list[RawPeer] = []
    stopped = threading.Event()
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        answering = threading.Thread(target=_answer_heartbeats, args=(selector, stopped, cut_off), daemon=True)
        answering.start()
        for _ in range(count):
            peer = stack.enter_context(raw_peer(endpoint)).shake_hands(b"DEALER")
            selector.register(peer.tcp, selectors.EVENT_READ, peer)
        yield cut_off
        stopped.set()
        answering.join(10)
        assert not answering.is_alive()


def _answer_heartbeats(selector: selectors.BaseSelector, stopped: threading.Event, cut_off: list[RawPeer]) -> None:
    pong = command(b"PONG", b"")
    while not stopped.is_set():
        if not selector.get_map():
            time.sleep(0.01)  # `select` does not see what is registered while it waits for nothing
        for key, _ in selector.select(0.1):
            peer: RawPeer = key.data
            try:
                if not peer.tcp.recv(4096):
                    raise ConnectionError
                peer.send(pong)
            except OSError:
                selector.unregister(peer.tcp)
                cut_off.append(peer)
