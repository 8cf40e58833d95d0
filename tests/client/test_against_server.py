"""Both clients against the real server: what is asked for happens, and what is refused is told."""

import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from drivers.both_clients import LIMIT_S, Driver, quick
from drivers.server_process import ServerProcess
from local_server import LocalServer
from timer_client import (
    AsyncTimerClient,
    IdConflict,
    InvalidRequest,
    LimitReached,
    Settings,
    TimerNotFound,
    TimerSpec,
    WrongState,
)
from timer_protocol.limits import Limits

Connect = Callable[..., Driver]


def _settings(server: LocalServer | ServerProcess) -> Settings:
    return quick(server.commands, server.events, timeout_s=5, retry_deadline_s=20)


def test_a_timer_from_start_to_end(server: LocalServer, connect: Connect) -> None:
    client = connect(_settings(server))
    timer = client.start(seconds=0.2, label="tea", payload={"cups": [1, 2]})
    assert (timer.state, timer.label, timer.payload, timer.duration_ms) == ("running", "tea", {"cups": [1, 2]}, 200)
    fired = client.wait(timer)
    assert fired.state == "fired"
    assert fired.ended_at_ms >= timer.due_at_ms
    assert client.get(timer) == fired


def test_every_change(server: LocalServer, connect: Connect) -> None:
    client = connect(_settings(server))
    timer = client.start(hours=1, id="order/42")
    assert client.pause(timer).state == "paused"
    assert client.pause(timer.id).state == "paused"
    assert client.resume(timer).state == "running"
    assert client.extend(timer, minutes=-30).duration_ms == 1_800_000
    assert client.cancel(timer).state == "cancelled"
    assert client.restart(timer).duration_ms == 3_600_000
    assert client.info().counts.running == 1
    assert client.discover()["openrpc"]


def test_refusals(server: LocalServer, connect: Connect) -> None:
    client = connect(_settings(server))
    with pytest.raises(TimerNotFound):
        client.get("nobody")
    with pytest.raises(InvalidRequest, match="more than zero"):
        client.start(0)
    with pytest.raises(InvalidRequest):
        client.start(1, id="no spaces")
    client.start(minutes=5, id="a")
    with pytest.raises(IdConflict) as caught:
        client.start(minutes=6, id="a")
    assert caught.value.data["state"] == "running"
    timer = client.cancel(client.start(1))
    with pytest.raises(WrongState):
        client.pause(timer)


@pytest.mark.alone
def test_waiting_ends_with_its_time_out(server: LocalServer, connect: Connect) -> None:
    client = connect(_settings(server))
    timer = client.start(hours=1)
    started_s = time.monotonic()
    assert client.wait(timer, timeout_s=0.2).state == "running"
    assert 0.2 <= time.monotonic() - started_s < 2
    assert client.wait(timer, timeout_s=0).state == "running"


def test_waiting_longer_than_one_request_is_held(
    server: LocalServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("timer_client.client", "timer_client.async_client"):
        monkeypatch.setattr(f"{module}.WAIT_CHUNK_S", 0.05)
    client = connect(_settings(server))
    assert client.wait(client.start(seconds=0.3)).state == "fired"


def test_all_timers_page_by_page(server: LocalServer, connect: Connect) -> None:
    client = connect(_settings(server))
    client.start_many(TimerSpec(id=f"t{number:05}", hours=1) for number in range(2300))
    client.cancel("t00007")
    client.start(hours=1, id="other")
    assert [timer.id for timer in client.timers("t")] == [f"t{number:05}" for number in range(2300)]
    assert [timer.id for timer in client.timers(state="cancelled")] == ["t00007"]
    page = client.list("t", limit=2)
    assert ([timer.id for timer in page.timers], page.next) == (["t00000", "t00001"], "t00001")


def test_a_server_with_small_limits_is_learned(connect: Connect) -> None:
    with LocalServer(limits=Limits(max_batch=7, max_message_bytes=4000)) as server:
        client = connect(_settings(server))
        timers = client.start_many(TimerSpec(id=f"t{number}", hours=1, payload="x" * number) for number in range(250))
        assert [timer.id for timer in timers] == [f"t{number}" for number in range(250)]
        assert client.info().counts.running == 250


def test_one_timer_too_many(connect: Connect) -> None:
    with LocalServer(limits=Limits(max_timers=3)) as server:
        client = connect(_settings(server))
        with pytest.raises(LimitReached) as caught:
            client.start_many(TimerSpec(hours=1) for _ in range(5))
        assert caught.value.data["limit"] == "max_timers"
        assert client.info().counts.running == 3


@pytest.mark.parametrize("graceful", [True, False], ids=["terminated", "killed"])
def test_a_wait_survives_a_restart(server_process: ServerProcess, connect: Connect, graceful: bool) -> None:
    client = connect(_settings(server_process))
    timer = client.start(seconds=1.5)
    restarted: list[bool] = []

    def restart(_: object) -> None:
        if not restarted:
            restarted.append(True)
            end.join()  # the old process has to be gone before there is a new one
            server_process.start()

    end = threading.Timer(0.3, server_process.terminate if graceful else server_process.kill)
    waiting = connect(_settings(server_process), on_pause=restart)
    end.start()
    fired = waiting.wait(timer)
    assert restarted
    assert fired.state == "fired"
    assert fired.ended_at_ms >= timer.due_at_ms


def test_an_acknowledged_timer_is_there_after_a_crash(server_process: ServerProcess, connect: Connect) -> None:
    client = connect(_settings(server_process))
    specs = [TimerSpec(hours=1) for _ in range(500)]
    client.start_many(specs)
    server_process.kill()
    server_process.start()
    assert [timer.id for timer in client.timers()] == sorted(spec.id for spec in specs)
    client.start_many(specs)
    assert client.info().counts.running == 500


def test_many_waits_at_once(server: LocalServer) -> None:
    async def test() -> None:
        async with AsyncTimerClient(settings=_settings(server)) as client:
            timers = await client.start_many(TimerSpec(seconds=0.3) for _ in range(500))
            fired = await asyncio.gather(*(client.wait(timer) for timer in timers))
            assert {timer.state for timer in fired} == {"fired"}

    asyncio.run(asyncio.wait_for(test(), LIMIT_S))
