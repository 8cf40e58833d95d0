"""GET /events: what a browser gets, whatever happens to the server, the gateway or the token."""

import asyncio
import json
from pathlib import Path

import pytest

from drivers.server_process import ServerProcess
from gateway.streamed import Gateway, Stream, Told, opened, play
from local_server import LocalServer
from timer_client import Cursor
from timer_gateway.streams import open_stream, pulse
from timer_gateway.streams.feed import Feed
from timer_gateway.streams.places import RETRY_MS
from timer_gateway.tokens import make_token

NOWHERE = "tcp://127.0.0.1:9"


def test_tells_what_begins_with_its_prefix_and_beats(server: LocalServer) -> None:
    async def scenario(gateway: Gateway) -> None:
        stream = gateway.open("?prefix=order/")
        status, headers = await stream.head()
        assert (status, headers["content-type"]) == (200, "text/event-stream")
        assert headers["cache-control"] == "no-store, no-transform"
        assert headers["x-accel-buffering"] == "no"
        info = await gateway.client.info()
        ((log, standing),) = info.logs.items()
        event, cursor, data = await stream.next()
        assert (event, cursor) == ("beat", str(Cursor(info.cursor)))
        assert data["logs"][log]["seq"] == info.cursor[log]
        assert abs(data["logs"][log]["now_ms"] - standing.now_ms) < 1_000
        assert RETRY_MS <= stream.retry_ms <= 1.5 * RETRY_MS
        await gateway.client.start(minutes=5, id="tea")
        await gateway.client.start(minutes=5, id="order/42", payload={"text": "a\nb\u2028<script>"})
        told = await stream.next()
        assert (told.event, told.label, told.id) == ("message", "order/42 started", f"{log}:2")
        page = await gateway.client.read_events({log: 1})
        assert told.data["timer"]["payload"] == page.events[0].timer.payload
        assert told.data["seq"] == page.events[0].seq

    play(scenario, server.commands)


def test_goes_on_where_the_reader_was_cut_off(server: LocalServer) -> None:
    """From what is kept while another stream is open, and from the server where none was."""

    async def scenario(gateway: Gateway) -> None:
        for is_kept in (True, False):
            others = [await opened(gateway)] if is_kept else []
            first = await opened(gateway, "?prefix=t/")
            await gateway.client.start(minutes=5, id=f"t/1{is_kept}")
            (told,) = await first.timers(1)
            await first.leave()
            for name in ("t/2", "u/2", "t/3"):
                await gateway.client.start(minutes=5, id=f"{name}{is_kept}")
            for other in others:
                await other.timers(4)
            back = gateway.open("?prefix=t/&after=start", last_event_id=str(told.id))
            await gateway.client.start(minutes=5, id=f"t/4{is_kept}")
            labels = [missed.label for missed in await back.timers(3)]
            assert labels == [f"{name}{is_kept} started" for name in ("t/2", "t/3", "t/4")]
            for stream in (back, *others):
                await stream.leave()

    play(scenario, server.commands)


def test_begins_at_the_start_or_after_the_cursor_of_a_list(server: LocalServer) -> None:
    async def scenario(gateway: Gateway) -> None:
        await gateway.client.start(minutes=5, id="a")
        cursor = Cursor((await gateway.client.info()).cursor)
        await gateway.client.start(minutes=5, id="b")
        whole, later = gateway.open("?after=start"), gateway.open(f"?after={cursor}")
        assert [told.label for told in await whole.timers(2)] == ["a started", "b started"]
        assert [told.label for told in await later.timers(1)] == ["b started"]

    play(scenario, server.commands)


@pytest.mark.parametrize("given", ["nonsense", "elsewhere12:7", "17"])
def test_a_cursor_of_which_nothing_is_known_is_told_as_a_loss(server: LocalServer, given: str) -> None:
    async def scenario(gateway: Gateway) -> None:
        await gateway.client.start(minutes=5, id="before")
        stream = gateway.open(last_event_id=given)
        assert (await stream.head())[0] == 200
        lost = await stream.next()
        info = await gateway.client.info()
        assert (lost.event, lost.id) == ("truncated", str(Cursor(info.cursor)))
        await stream.until("beat")
        await gateway.client.start(minutes=5, id="after")
        assert [told.label for told in await stream.timers(1)] == ["after started"]

    play(scenario, server.commands)


def test_says_that_the_server_is_away_and_misses_nothing_when_it_is_back(server_process: ServerProcess) -> None:
    async def scenario(gateway: Gateway) -> None:
        running = asyncio.get_running_loop().run_in_executor
        stream = await opened(gateway, "?prefix=t/")
        await gateway.client.start(minutes=5, id="t/before")
        (before,) = await stream.timers(1)
        await running(None, server_process.kill)
        away = await stream.until("away")
        assert away.id == before.id
        assert away.data["silent_ms"] >= 200
        late = gateway.open("?prefix=t/", last_event_id=str(before.id))
        assert (await late.head())[0] == 200
        assert (await late.next()).event == "away"
        await running(None, server_process.start)
        await gateway.client.start(minutes=5, id="t/after")
        assert await _labels_to_beat(stream) == ["t/after started"]
        assert await _labels_to_beat(late) == ["t/after started"]
        told = gateway.parts.metrics.text()
        assert b"timer_gateway_server_away 0.0" in told
        assert b"timer_gateway_events_sent_total 3.0" in told, "two to the one stream, and one to the other"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pulse, "EVERY_S", 0.05)
        patch.setattr(pulse, "AWAY_AFTER_S", 0.25)
        play(scenario, server_process.commands)


async def _labels_to_beat(stream: Stream) -> list[str]:
    """What is told of timers until one was told and the server is there."""
    labels: list[str] = []
    is_there = False
    while not (labels and is_there):
        told = await stream.next()
        is_there |= told.event == "beat"
        labels += [told.label] if told.event == "message" else []
    return labels


def test_a_stream_opened_while_no_server_is_there_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(gateway: Gateway) -> None:
        stream = gateway.open()
        assert (await stream.head())[0] == 200
        assert await stream.next() == Told("away", None, {"silent_ms": None})
        assert (await gateway.open(last_event_id="a:7").until("away")).id == "a:7"

    monkeypatch.setattr(pulse, "AWAY_AFTER_S", 0.05)
    play(scenario, NOWHERE)


def test_a_token_gets_what_is_below_its_prefix_and_nothing_once_it_is_gone(server: LocalServer, tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    token, _ = make_token(path, frozenset({"read"}), "mine/", "mine")
    blind, _ = make_token(path, frozenset({"start"}), "", "blind")

    async def scenario(gateway: Gateway) -> None:
        bearer = f"Bearer {token}"
        stream = await opened(gateway, authorization=bearer)
        await gateway.client.start(minutes=5, id="yours/1")
        await gateway.client.start(minutes=5, id="mine/1")
        assert [told.label for told in await stream.timers(1)] == ["mine/1 started"]
        for query, given in (
            ("?prefix=yours/", bearer),
            ("?prefix=mine started", bearer),
            ("", f"Bearer {blind}"),
        ):
            refused = gateway.open(query, authorization=given)
            status, headers = await refused.head()
            assert (status, headers["content-type"]) == (403, "application/problem+json")
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if "name=mine" not in line))
        gateway.parts.access.tokens.reload()
        await gateway.client.start(minutes=5, id="mine/2")
        with pytest.raises(EOFError):
            await stream.next()

    play(scenario, server.commands, tokens=path)


BEAT_S = 0.05


@pytest.fixture
def quick_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_stream, "BEAT_S", BEAT_S)


@pytest.mark.usefixtures("quick_beats")
def test_beats_go_on_while_nothing_happens(server: LocalServer) -> None:
    async def scenario(gateway: Gateway) -> None:
        stream = gateway.open()
        beats = [await stream.next() for _ in range(3)]
        assert [told.event for told in beats] == ["beat"] * 3
        assert len({told.id for told in beats}) == 1
        times_ms = [log["now_ms"] for told in beats for log in told.data["logs"].values()]
        assert times_ms == sorted(times_ms)
        assert times_ms[-1] - times_ms[0] >= 2 * BEAT_S * 1_000 - 10

    play(scenario, server.commands)


@pytest.mark.usefixtures("quick_beats")
def test_says_again_that_the_server_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(gateway: Gateway) -> None:
        stream = gateway.open()
        assert [(await stream.next()).event for _ in range(2)] == ["away"] * 2

    monkeypatch.setattr(pulse, "AWAY_AFTER_S", 0.05)
    play(scenario, NOWHERE)


@pytest.mark.usefixtures("quick_beats")
def test_an_idle_stream_ends_once_its_token_is_gone(server: LocalServer, tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    token, _ = make_token(path, frozenset({"read"}))

    async def scenario(gateway: Gateway) -> None:
        stream = await opened(gateway, authorization=f"Bearer {token}")
        path.write_text("")
        gateway.parts.access.tokens.reload()
        with pytest.raises(EOFError):
            await stream.until("nothing")

    play(scenario, server.commands, tokens=path)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("?prefix=" + "x" * 129, "at most 128 characters"),
        ("?prefix=tea%20began", "one of started, paused"),
        ("?prefx=tea", "prefix? and after?"),
        ("?prefix=a&prefix=b", "each once"),
    ],
)
def test_says_what_is_wrong_with_a_request(query: str, reason: str) -> None:
    async def scenario(gateway: Gateway) -> None:
        stream = gateway.open(query)
        assert (await stream.head())[0] == 400
        assert reason in json.loads(await stream.body())["detail"]

    play(scenario, NOWHERE)


def test_all_streams_end_when_the_gateway_stops(server: LocalServer) -> None:
    async def scenario(gateway: Gateway) -> None:
        streams = [await opened(gateway) for _ in range(3)]
        gateway.parts.stopping.set()
        for stream in streams:
            with pytest.raises(EOFError):
                await stream.next()

    play(scenario, server.commands)


def test_a_fault_of_the_gateway_ends_its_streams_and_the_next_ones_are_whole(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(gateway: Gateway) -> None:
        stream = await opened(gateway)
        with monkeypatch.context() as patch:
            patch.setattr(Feed, "take", lambda *_: 1 / 0)
            await gateway.client.start(minutes=5, id="a")
            with pytest.raises(EOFError):
                await stream.next()
        back = await opened(gateway)
        await gateway.client.start(minutes=5, id="b")
        assert [told.label for told in await back.timers(1)] == ["b started"]

    play(scenario, server.commands)
    assert "following failed" in caplog.text


def test_several_logs_are_one_stream_with_one_cursor() -> None:
    async def scenario(gateway: Gateway) -> None:
        stream = await opened(gateway, "?prefix=t/")
        ids = [f"t/{number}" for number in range(30)]
        await asyncio.gather(*(gateway.client.start(minutes=5, id=timer_id) for timer_id in ids))
        told = await stream.timers(len(ids))
        assert sorted(one.data["timer"]["id"] for one in told) == sorted(ids)
        assert len({one.data["log"] for one in told}) == 4
        middle = told[12]
        assert middle.id is not None
        assert len(Cursor.parse(middle.id)) == 4
        back = gateway.open("?prefix=t/", last_event_id=middle.id)
        left = [one.data["timer"]["id"] for one in await back.timers(len(ids) - 13)]
        assert left == [one.data["timer"]["id"] for one in told[13:]]

    with LocalServer(shards=4) as server:
        play(scenario, server.commands)
