"""What streams cost: readers that do not read, streams of one caller, and what the server is asked for them."""

import asyncio
import socket
from typing import Any

import msgspec
import pytest
import uvicorn

from gateway.streamed import Gateway, opened, play
from local_server import LocalServer
from timer_client import AsyncTimerClient
from timer_client.calls import Call
from timer_client.errors import ServerUnreachable
from timer_gateway.connections import Connection
from timer_gateway.streams import catching_up, open_stream, places
from timer_gateway.streams.catching_up import READS_AT_ONCE, CatchingUp
from timer_gateway.streams.pages import EncodedPage
from timer_gateway.streams.places import FORGIVEN_AFTER_S, RETRY_MOST_MS, RETRY_MS, StreamPlaces


def test_a_slow_reader_gets_everything_once_it_takes_again(server: LocalServer) -> None:
    async def scenario(gateway: Gateway) -> None:
        slow, quick = await opened(gateway, "?prefix=t/"), await opened(gateway)
        slow.stop_taking()
        large = "x" * 1_000
        ids = [f"t/{number}" for number in range(400)]
        await asyncio.gather(*(gateway.client.start(minutes=5, id=timer_id, payload=large) for timer_id in ids))
        told = [one.data["timer"]["id"] for one in await quick.timers(len(ids))]
        slow.go_on_taking()
        assert [one.data["timer"]["id"] for one in await slow.timers(len(ids))] == told
        await gateway.client.start(minutes=5, id="t/last")
        assert [one.label for one in await slow.timers(1)] == ["t/last started"]

    play(scenario, server.commands)


def test_a_reader_that_never_reads_is_cut_off_and_waits_longer_each_time(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over real connections: what is buffered for it goes with the connection."""
    monkeypatch.setattr(open_stream, "STALLED_S", 0.1)
    cut, note_cut = asyncio.Event(), StreamPlaces.note_cut
    monkeypatch.setattr(StreamPlaces, "note_cut", lambda *given: (note_cut(*given), cut.set()))

    async def scenario(gateway: Gateway) -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        config = uvicorn.Config(gateway.app, http=Connection, ws="none", lifespan="off", log_config=None)
        http = uvicorn.Server(config)
        serving = asyncio.create_task(http.serve([listening]))
        watcher = await opened(gateway, "?prefix=t/")
        retries = []
        for round_ in range(2):
            peer = socket.socket()
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.connect(listening.getsockname())
            peer.sendall(b"GET /events?prefix=t/ HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % listening.getsockname()[1])
            peer.setblocking(False)
            reader, writer = await asyncio.open_connection(sock=peer, limit=2_048)
            text = (await reader.readuntil(b"retry: ") + await reader.readuntil(b"\n")).decode()
            retries.append(int(text.rpartition("retry: ")[2]))
            await reader.readuntil(b"event: beat")
            for number in range(40):
                await gateway.client.start(minutes=5, id=f"t/{round_}/{number}", payload="x" * 20_000)
            await watcher.timers(40)
            async with asyncio.timeout(5):
                await cut.wait()
            cut.clear()
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(1_000_000)
            writer.close()
        assert RETRY_MS <= retries[0] <= 1.5 * RETRY_MS < 2 * RETRY_MS <= retries[1] <= 3 * RETRY_MS
        assert b"timer_gateway_streams_cut_total 2.0" in gateway.parts.metrics.text()
        gateway.parts.stopping.set()
        http.should_exit = True
        await serving

    play(scenario, server.commands)


def test_streams_of_one_caller_are_bounded_and_the_next_is_told_to_wait(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "STREAMS_OF_ONE", 2)

    async def scenario(gateway: Gateway) -> None:
        streams = [await opened(gateway) for _ in range(2)]
        full = gateway.open()
        assert (await full.head())[0] == 200
        assert (await full.next()).event == "full"
        assert full.retry_ms == RETRY_MOST_MS
        await streams[0].leave()
        await opened(gateway)
        assert b"timer_gateway_streams 2.0" in gateway.parts.metrics.text()

    play(scenario, server.commands)


def test_cuts_are_forgiven() -> None:
    now_s = 0.0
    some = StreamPlaces(lambda: now_s)
    for _ in range(20):
        some.note_cut("anybody", "t/")
    assert RETRY_MOST_MS <= some.retry_ms("anybody", "t/") <= 1.5 * RETRY_MOST_MS
    assert some.retry_ms("anybody", "u/") <= 1.5 * RETRY_MS
    now_s = FORGIVEN_AFTER_S
    assert some.retry_ms("anybody", "t/") <= 1.5 * RETRY_MS


def test_nothing_is_asked_while_nobody_reads(server: LocalServer) -> None:
    async def scenario(gateway: Gateway) -> None:
        stream = await opened(gateway)
        await stream.leave()
        calls: list[Call[Any]] = []

        async def counted(call: Call[Any]) -> Any:
            calls.append(call)

        gateway.parts.upstream.client.call = counted  # type: ignore[method-assign]
        await asyncio.sleep(0.05)
        assert not calls
        assert b"timer_gateway_events_kept_bytes 0.0" in gateway.parts.metrics.text()

    play(scenario, server.commands)


class SlowServer:
    """Answers reads one after the other, and counts how many wait at once; some fail."""

    def __init__(self) -> None:
        self.at_once: list[tuple[str, int]] = []
        self.under_way = 0

    async def call(self, call: Call[Any]) -> Any:
        self.under_way += 1
        self.at_once.append((str(msgspec.json.decode(call.params)["prefix"]), self.under_way))
        await asyncio.sleep(0)
        self.under_way -= 1
        if len(self.at_once) % 5 == 0:
            raise ServerUnreachable("tcp://nowhere:1", 1, 1, "for the test")
        return EncodedPage([], {"a": 7}, False, False)


def test_older_events_are_read_two_pages_at_a_time_and_by_one_caller_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catching_up, "RETRY_S", 0)

    async def scenario() -> None:
        slow = SlowServer()
        reading: Any = CatchingUp(slow)  # type: ignore[arg-type]
        callers = ["greedy"] * 20 + ["a", "b", "c"]
        pages = await asyncio.gather(*(reading.page_after({"a": 1}, caller, caller) for caller in callers))
        assert [page.next for page in pages] == [{"a": 7}] * len(callers)
        assert max(count for _, count in slow.at_once) == READS_AT_ONCE
        soon = {prefix for prefix, _ in slow.at_once[:8]}
        assert soon == {"greedy", "a", "b", "c"}  # the greedy one keeps nobody waiting

    asyncio.run(scenario())


def test_one_timer_on_a_busy_server_is_all_that_is_read(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is asked for what the streams have in common, also as others come and go."""
    asked: list[str] = []
    call = AsyncTimerClient.call

    async def noted(client: AsyncTimerClient, request: Call[Any]) -> Any:
        if request.method == "events.read" and request.wait_ms:
            asked.append(msgspec.json.decode(request.params)["prefix"])
        return await call(client, request)

    monkeypatch.setattr(AsyncTimerClient, "call", noted)

    async def scenario(gateway: Gateway) -> None:
        one = await opened(gateway, "?prefix=user/1/tea%20")
        await gateway.client.start(minutes=5, id="user/1/tea")
        await one.timers(1)
        assert set(asked) == {"user/1/tea"}
        other = await opened(gateway, "?prefix=user/2/")
        await gateway.client.start(minutes=5, id="user/2/tea")
        await other.timers(1)
        assert asked[-1] == "user/"
        await gateway.client.cancel("user/1/tea")
        assert [told.label for told in await one.timers(1)] == ["user/1/tea cancelled"]
        await other.leave()
        await gateway.client.restart("user/1/tea")
        await one.timers(1)
        asked.clear()
        await gateway.client.cancel("user/1/tea")
        await one.timers(1)
        assert set(asked) <= {"user/1/tea"}

    play(scenario, server.commands)
