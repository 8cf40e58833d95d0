"""`timer explain`: what happened to a timer, and what comes next."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec

from client.command import run
from client.fake_server import LOG, FakeServer, answered, page_of, refusing, timer
from local_server import LocalServer
from timer_client import TimerClient
from timer_protocol.errors import ErrorCode
from timer_protocol.messages import Event, Timer

MOMENT = r"\d{4}-\d\d-\d\dT[\d:.]+[+-]\d\d:\d\d"
DAY_MS = 86_400_000


def _explained(folder: Path, server: LocalServer | FakeServer, timer_id: str) -> tuple[list[str], dict[str, Any]]:
    """The lines, each moment as @, and the JSON."""
    ran = run(folder, "explain", timer_id, server=server)
    assert (ran.returncode, ran.stderr) == (0, "")
    lines = re.sub(r"\d\d:\d\d:\d\d(?=[.,;]| at|$)", "@", re.sub(MOMENT, "@", ran.stdout), flags=re.MULTILINE)
    lines = re.sub(r"\d{4}-\d\d-\d\d @", "@", lines)
    return lines.splitlines(), json.loads(run(folder, "explain", timer_id, "--json", server=server).stdout)


def test_a_life(server: LocalServer, tmp_path: Path) -> None:
    with TimerClient(server.commands, server.events) as client:
        client.start(hours=1, id="tea", label="green\x1b[2J")
        client.start(hours=1, id="teapot")
        client.pause("tea")
        client.extend("tea", minutes=5)
        lines, told = _explained(tmp_path, server, "tea")
        assert lines[0].startswith(r"green\x1b[2J (tea) is paused with 1:0")
        assert lines[1] == "@  started    for 1 hour, 0 minutes, 0 seconds, due at @"
        assert re.fullmatch(r"@  paused     with (1:00:00|0:59:5\d) to go", lines[2])
        assert re.fullmatch(r"@  extended   by 0:05:00, 1:0[45]:\d\d to go", lines[3])
        assert lines[4:] == ["Next: it waits until it is resumed, restarted or cancelled."]
        assert (told["next"], told["next_at_ms"], told["late_ms"], told["removed"]) == ("waits", None, None, 0)

        client.resume("tea")
        client.extend("tea", minutes=-10)
        lines, told = _explained(tmp_path, server, "tea")
        assert re.fullmatch(r"@  resumed    with 1:0[45]:\d\d to go, due at @", lines[4])
        assert re.fullmatch(r"@  extended   by -0:10:00, 0:5[45]:\d\d to go, due at @", lines[5])
        assert lines[6:] == ["Next: it fires at @."]
        assert (told["next"], told["next_at_ms"]) == ("fires", told["timer"]["due_at_ms"])

        client.cancel("tea")
        lines, told = _explained(tmp_path, server, "tea")
        assert lines[6:] == [
            "@  cancelled",
            (
                "Next: nothing of its own, unless it is restarted; "
                "it is forgotten at @ at the latest, and its id is free then."
            ),
        ]
        assert (told["next"], told["next_at_ms"]) == ("forgotten", told["timer"]["ended_at_ms"] + DAY_MS)
        assert [event["kind"] for event in told["events"]][-2:] == ["extended", "cancelled"]
        assert {event["timer"]["id"] for event in told["events"]} == {"tea"}


def test_how_late_it_fired(fake: FakeServer, tmp_path: Path) -> None:
    started = timer(id="tea", started_at_ms=1_000, due_at_ms=61_000)
    fired = msgspec.structs.replace(started, state="fired", remaining_ms=0, ended_at_ms=61_250, version=2)
    lines, told = _explain_fake(fake, tmp_path, fired, [(started, "started"), (fired, "fired")])
    assert lines[2] == "@  fired      250 ms late"
    assert told["late_ms"] == 250


def test_a_timer_that_goes_by_the_wall_clock(fake: FakeServer, tmp_path: Path) -> None:
    started = timer(id="tea", hours=0, minutes=0, seconds=0, at="2026-12-01T09:00", zone="Europe/Rome")
    moved = msgspec.structs.replace(started, remaining_ms=3_000, version=2)
    lines, _ = _explain_fake(fake, tmp_path, moved, [(started, "started"), (moved, "extended")], cause="clock")
    assert lines[1:3] == [
        "@  started    for 2026-12-01T09:00 Europe/Rome, due at @",
        "@  extended   the wall clock was set, 0:00:03 to go, due at @",
    ]


def test_what_retention_has_removed_is_said(fake: FakeServer, tmp_path: Path) -> None:
    paused = timer(id="tea", state="paused", due_at_ms=None, version=4)
    running = timer(id="tea", version=6)
    newer = timer(id="tea", version=7)
    events = [(paused, "paused"), (running, "resumed"), (newer, "extended")]
    lines, told = _explain_fake(fake, tmp_path, running, events)
    assert lines[1] == "(3 events here that the server keeps no longer)"
    assert lines[3] == "(1 event here that the server keeps no longer)"
    assert told["removed"] == 4
    assert [event["kind"] for event in told["events"]] == ["paused", "resumed"], "one came after the answer"


def test_one_that_is_forgotten_is_in_the_log_yet(fake: FakeServer, tmp_path: Path) -> None:
    fired = timer(id="tea", state="fired", ended_at_ms=1_700_000_060_000, version=2)
    lines, told = _explain_fake(fake, tmp_path, None, [(fired, "fired")])
    assert lines == [
        "Timer tea has ended and is forgotten.",
        "(1 event here that the server keeps no longer)",
        "@  fired      0 ms late",
        "Next: nothing; the id is free.",
    ]
    assert (told["timer"], told["next"]) == (None, "none")


def test_the_queues_that_hand_out_its_ends_are_named(server: LocalServer, tmp_path: Path) -> None:
    with TimerClient(server.commands, server.events) as client:
        client.put_queue("mail", "email/")
        client.put_queue("all", "")
        client.put_queue("other", "sms/")
        client.wait(client.start(id="email/1", seconds=0.01))
    lines, told = _explained(tmp_path, server, "email/1")
    assert told["queues"] == ["all", "mail"]
    assert lines[-2].startswith("Next: nothing of its own, unless it is restarted;")
    assert lines[-1] == "Queues that hand out its ends: all, mail (timer queue show)."


def test_one_that_never_was(server: LocalServer, tmp_path: Path) -> None:
    ran = run(tmp_path, "explain", "nobody", server=server)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "timer 'nobody' is not there" in ran.stderr


def _explain_fake(
    fake: FakeServer, folder: Path, standing: Timer | None, events: list[tuple[Timer, str]], **members: Any
) -> tuple[list[str], dict[str, Any]]:
    """What is told of a timer that stands so, where the log has these events of it on two pages, and some of others."""
    logged: list[object] = [
        Event(LOG, seq, kind, each.ended_at_ms or each.started_at_ms, each, **members)  # type: ignore[arg-type]
        for seq, (each, kind) in enumerate([(timer(id="teapot"), "started"), *events], 1)
    ]

    def got(body: bytes) -> bytes:
        return msgspec.json.encode({"jsonrpc": "2.0", "result": standing, "id": msgspec.json.decode(body)["id"]})

    def no_queues(body: bytes) -> bytes:
        result = {"queues": [], "next": None}
        return msgspec.json.encode({"jsonrpc": "2.0", "result": result, "id": msgspec.json.decode(body)["id"]})

    for _ in range(2):
        fake.faults += [
            answered,
            got if standing else refusing(ErrorCode.TIMER_NOT_FOUND),
            lambda body: page_of(body, logged[:2], {LOG: 2}, more=True),
            lambda body: page_of(body, logged[2:], {LOG: 9}),
            no_queues,
        ]
    return _explained(folder, fake, "tea")
