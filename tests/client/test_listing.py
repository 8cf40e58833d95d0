"""`timer list`: which timers it shows, and what it leaves out."""

from pathlib import Path

import msgspec

from client.command import json_lines, run, start_detached
from client.fake_server import FakeServer, answered, timer
from local_server import LocalServer
from timer_client import TimerClient, TimerSpec


def test_list(server: LocalServer, tmp_path: Path) -> None:
    for name in ("order/1", "order/2", "tea"):
        start_detached(tmp_path, server, "1h", "--id", name, "--label", f"the {name}\x1b[31m\n")
    run(tmp_path, "cancel", "order/2", server=server)

    def ids(*options: str) -> list[str]:
        return [line.split("\t")[0] for line in run(tmp_path, "list", *options, server=server).stdout.splitlines()]

    assert ids() == ["order/1", "tea"]
    assert ids("--all") == ["order/1", "tea", "order/2"]
    assert ids("--prefix", "order/") == ["order/1"]
    assert ids("--state", "cancelled") == ["order/2"]
    assert ids("--limit", "1") == ["order/1"]
    assert ids("--limit", "2", "--all") == ["order/1", "tea"]
    plain = run(tmp_path, "list", server=server).stdout
    assert "the tea\\x1b[31m\\x0a" in plain
    timers = json_lines(run(tmp_path, "list", "--json", server=server).stdout)
    assert [timer["label"] for timer in timers] == [f"the {timer['id']}\x1b[31m\n" for timer in timers]


def test_list_tells_what_it_leaves_out(server: LocalServer, tmp_path: Path) -> None:
    with TimerClient(server.commands, server.events) as client:
        client.start_many(TimerSpec(id=f"t{number:04}", hours=1) for number in range(1_203))
        for number in range(2):
            client.cancel(f"t{number:04}")
        client.pause("t0700")

    def listed(*options: str) -> tuple[int, str]:
        ran = run(tmp_path, "list", *options, server=server)
        return len(ran.stdout.splitlines()), ran.stderr

    assert listed() == (1_201, "Left out: 2 that ended; --all lists them.\n")
    assert listed("--all") == (1_203, "")
    assert listed("--prefix", "t1") == (203, "")
    assert listed("--state", "paused") == (1, "")
    assert listed("--limit", "1200", "--state", "running") == (1_200, "")
    assert listed("--limit", "1000", "--all") == (1_000, "Left out: 203 more, by --limit 1000.\n")
    assert listed("--limit", "1", "--json", "--all") == (1, "Left out: 1202 more, by --limit 1.\n")
    assert listed("--limit", "1203", "--all") == (1_203, "")
    assert listed("--prefix", "t0") == (998, "Left out: 2 that ended; --all lists them.\n")
    assert listed("--prefix", "t12", "--limit", "1") == (1, "Left out: 2 more, by --limit 1.\n")
    assert listed("--prefix", "t1", "--limit", "1") == (1, "Left out: more than 20 more, by --limit 1.\n")


def test_list_fetches_no_timer_only_to_count_it(fake: FakeServer, tmp_path: Path) -> None:
    def answer(body: bytes) -> bytes:
        request = msgspec.json.decode(body)
        if request["method"] == "server.info":
            told = msgspec.json.decode(answered(body))
            told["result"]["counts"] = {"running": 1, "paused": 0, "fired": 5_000, "cancelled": 2}
            return msgspec.json.encode(told)
        timers = [timer()] if request["params"]["state"] == "running" else []
        return msgspec.json.encode({**request, "result": {"timers": timers, "next": None}})

    fake.faults += [answer] * 3
    ran = run(tmp_path, "list", "--limit", "1", server=fake)
    assert (ran.stdout.count("\n"), ran.stderr) == (1, "Left out: 5002 that ended; --all lists them.\n")
    asked = [msgspec.json.decode(fake.bodies.get_nowait()) for _ in range(3)]
    assert sorted((each["method"], each["params"].get("limit")) for each in asked) == [
        ("server.info", None),
        ("timer.list", 1),
        ("timer.list", 1),
    ]
    assert fake.bodies.empty()
