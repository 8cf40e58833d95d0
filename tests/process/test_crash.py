"""What a client was told survives a crash, and timers fire on time whatever happened in between."""

import json
import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import zmq

from drivers.peers import SILENCE_MS, Requester, request, requester, socket_to
from drivers.server_process import ServerProcess


def test_acknowledged_timers_survive_with_their_deadlines(server_process: ServerProcess) -> None:
    with requester(server_process.commands) as rpc:
        before = {f"t/{n}": rpc.call("timer.start", id=f"t/{n}", minutes=n + 1, payload=n) for n in range(20)}
        before["t/0"] = rpc.call("timer.pause", id="t/0")
        before["t/1"] = rpc.call("timer.extend", id="t/1", seconds=30, key="k")
        before["t/2"] = rpc.call("timer.cancel", id="t/2")
        seq = rpc.seq()
    server_process.kill()
    server_process.start()
    with requester(server_process.commands) as rpc:
        for timer_id, timer in before.items():
            again = rpc.call("timer.get", id=timer_id)
            unmoved = {name: value for name, value in timer.items() if name != "remaining_ms"}
            assert {name: again[name] for name in unmoved} == unmoved
        assert rpc.call("timer.get", id="t/0")["remaining_ms"] == before["t/0"]["remaining_ms"]
        assert rpc.call("timer.extend", id="t/1", seconds=30, key="k")["version"] == before["t/1"]["version"]
        assert rpc.call("timer.start", id="t/3", minutes=4, payload=3)["version"] == 1
        assert rpc.seq() == seq


@pytest.mark.alone
def test_a_timer_in_mid_countdown_fires_on_time_after_a_crash(server_process: ServerProcess) -> None:
    with requester(server_process.commands) as rpc:
        due_at_ms = rpc.call("timer.start", id="x", seconds=1.5)["due_at_ms"]
    server_process.kill()
    server_process.start()
    with requester(server_process.commands) as rpc:
        fired = rpc.call("timer.wait", id="x", wait_ms=10_000)
    assert fired["state"] == "fired"
    assert 0 <= fired["ended_at_ms"] - due_at_ms < 500


def test_timers_due_while_the_server_was_down_fire_at_once_and_once(server_process: ServerProcess) -> None:
    with requester(server_process.commands) as rpc:
        due = {f"t/{n}": rpc.call("timer.start", id=f"t/{n}", seconds=0.1)["due_at_ms"] for n in range(50)}
        rpc.call("timer.start", id="paused", seconds=20)
        paused = rpc.call("timer.pause", id="paused")
    server_process.kill()
    time.sleep(max(0, max(due.values()) / 1000 - time.time()))  # deadlines have to pass without a server
    server_process.start()
    with requester(server_process.commands) as rpc:
        for timer_id, due_at_ms in due.items():
            fired = rpc.call("timer.wait", id=timer_id, wait_ms=10_000)
            assert (fired["state"], fired["due_at_ms"]) == ("fired", due_at_ms)
        fired_ids = [event["timer"]["id"] for event in all_events(rpc) if event["kind"] == "fired"]
        assert sorted(fired_ids) == sorted(due)
        assert rpc.call("timer.get", id="paused")["remaining_ms"] == paused["remaining_ms"]


def all_events(rpc: Requester) -> list[dict[str, Any]]:
    """Every event there is, read page by page."""
    events: list[dict[str, Any]] = []
    page: dict[str, Any] = {"next": {}, "more": True}
    while page["more"]:
        page = rpc.call("events.read", after=page["next"], limit=1000)
        events += page["events"]
    return events


class Load:
    """Starts, cancels and extends timers until the server is gone, and notes what was acknowledged."""

    def __init__(self) -> None:
        self.acknowledged: dict[str, dict[str, Any]] = {}
        self.asked: set[str] = set()

    def run(
        self, server: ServerProcess, round_number: int, dice: random.Random, acknowledgements: threading.Semaphore
    ) -> None:
        with socket_to(zmq.DEALER, server.commands) as socket:
            for number in range(100_000):
                timer_id = f"r{round_number}/{number}"
                batch = [request("timer.start", "start", id=timer_id, minutes=dice.randint(1, 9))]
                if dice.random() < 0.3:
                    batch.append(request("timer.extend", "extend", id=timer_id, seconds=1, key="k"))
                if dice.random() < 0.2:
                    batch.append(request("timer.cancel", "cancel", id=timer_id))
                self.asked.add(timer_id)
                socket.send_json(batch)
                while not socket.poll(SILENCE_MS):
                    if server.has_ended:
                        return
                self.acknowledged[timer_id] = json.loads(socket.recv())[-1]["result"]
                acknowledgements.release()


def test_kills_at_random_moments_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    dice = random.Random(7)  # noqa: S311 - moments, not secrets
    load = Load()
    server = ServerProcess(tmp_path)
    try:
        for round_number, enough in enumerate([dice.randint(10, 80) for _ in range(4)]):
            server.start()
            acknowledgements = threading.Semaphore(0)
            thread = threading.Thread(target=load.run, args=(server, round_number, dice, acknowledgements))
            thread.start()
            for _ in range(enough):
                assert acknowledgements.acquire(timeout=10)
            server.kill()  # while the next one is under way
            thread.join(10)
            assert not thread.is_alive()
        server.start()
        with requester(server.commands) as rpc:
            for timer_id, timer in load.acknowledged.items():
                found = rpc.call("timer.get", id=timer_id)
                for name in ("state", "due_at_ms", "duration_ms", "version", "ended_at_ms"):
                    assert found[name] == timer[name], (timer_id, name)
            assert [event["seq"] for event in all_events(rpc)] == list(range(1, rpc.seq() + 1))
            counts = rpc.call("server.info")["counts"]
            assert len(load.acknowledged) <= sum(counts.values()) <= len(load.asked)
    finally:
        server.kill()


def test_leases_attempts_and_what_was_done_survive_and_workers_get_time(server_process: ServerProcess) -> None:
    def restart() -> None:
        server_process.kill()
        server_process.start()

    with requester(server_process.commands) as rpc:
        rpc.call("queue.put", queue="q", prefix="", lease_ms=2000)
        for timer_id in ("a", "b", "c"):
            rpc.call("timer.start", id=timer_id, seconds=0.01)
            rpc.call("timer.wait", id=timer_id, wait_ms=10_000)
        a, b, c = rpc.call("queue.take", queue="q", max=3, key="k")["deliveries"]
        assert rpc.call("queue.ack", queue="q", receipts=[a["receipt"]])["lost"] == []
        rpc.call("queue.nack", queue="q", receipts=[b["receipt"]], delay_ms=0)
        rpc.call("queue.put", queue="q", prefix="", lease_ms=30_000)  # of the leases that come
    server_process.kill()
    time.sleep(max(0, c["leased_until_ms"] / 1000 - time.time()))  # the lease has to run out without a server
    server_process.start()
    with requester(server_process.commands) as rpc:
        (still_leased,) = rpc.call("queue.take", queue="q", key="k")["deliveries"]
        assert (still_leased["receipt"], still_leased["attempt"]) == (c["receipt"], 1)
        assert still_leased["leased_until_ms"] > c["leased_until_ms"]
        (again,) = rpc.call("queue.take", queue="q", max=3, key="l")["deliveries"]
        assert (again["event"], again["attempt"]) == (b["event"], 2)
    restart()
    with requester(server_process.commands) as rpc:
        (repeated,) = rpc.call("queue.take", queue="q", max=3, key="l")["deliveries"]
        assert (repeated["receipt"], repeated["attempt"]) == (again["receipt"], 2)
        done = [delivery["receipt"] for delivery in (a, again, c)]
        assert rpc.call("queue.ack", queue="q", receipts=done)["done"] == done
    restart()
    with requester(server_process.commands) as rpc:
        assert rpc.call("queue.ack", queue="q", receipts=done)["done"] == done
        assert rpc.call("queue.take", queue="q") == {"deliveries": []}
