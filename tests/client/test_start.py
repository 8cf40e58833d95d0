"""`timer start` and `timer extend`: what they take for a duration, and what they say of it."""

import json
import re
from pathlib import Path

import click
import msgspec
import pytest

from client.command import Server, run, running
from client.fake_server import FakeServer, timer, unanswered
from local_server import LocalServer
from timer_client.cli import root


def _start(folder: Path, server: Server, *arguments: str) -> None:
    ran = run(folder, "start", *arguments, "--detach", server=server)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("words", [["1"], ["0", "0", "1"], ["PT1S"], ["00:00:01"], ["0.5"], ["1", "sec"]])
def test_durations_on_the_command_line(server: LocalServer, tmp_path: Path, words: list[str]) -> None:
    ran = run(tmp_path, "start", *words, server=server)
    assert ran.returncode == 0, ran.stderr
    assert "has fired" in ran.stdout


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["soon"], "'soon' is no duration; write 90"),
        (["0"], "0 is no time at all"),
        (["0", "0", "0"], "0 0 0 is no time at all"),
        (["-1h"], "-1h is negative: a timer needs more than zero"),
        (["-PT5M", "--json"], "-PT5M is negative"),
        (["1", "30m"], "'1 30m' leaves open what '1' before '30m' counts"),
        (["999999999d"], "'999999999d' is longer than any timer may run"),
        (["1h", "--label"], "'--label' requires an argument"),
        (["1h", "--jsn"], "No such option"),
        (["1h", "--payload", "{"], "--payload is not JSON"),
    ],
)
def test_start_with_nonsense(server: LocalServer, tmp_path: Path, words: list[str], reason: str) -> None:
    ran = run(tmp_path, "start", *words, server=server)
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert reason in ran.stderr


def test_a_duration_that_this_server_does_not_allow_is_called_too_long(server: LocalServer, tmp_path: Path) -> None:
    ran = run(tmp_path, "start", "1234567890", "--detach", server=server)
    assert ran.returncode == 2
    assert "a timer may run for at most" in ran.stderr


def test_what_two_parts_are_taken_for_is_said(server: LocalServer, tmp_path: Path) -> None:
    ran = run(tmp_path, "start", "1:30", "--detach", "--json", server=server)
    assert json.loads(ran.stdout)["duration_ms"] == 90_000
    assert ran.stderr == (
        "timer: 1:30 is taken for 1 minute 30 seconds; 1:30:00 is 1 hour 30 minutes\n"
        "timer: for the time of the day, write @1:30\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["a", "-1h"],
        ["a", "-1h", "--json"],
        ["--json", "a", "-1h"],
        ["a", "--json", "-1h"],
        ["a", "--timeout", "5", "-1h"],
        ["--timeout=5", "a", "-1h"],
        ["a", "-0.5h", "30m"],
        ["a", "-.5h30m"],
        ["a", "-1", "0", "0"],
        ["a", "0", "-60", "0"],
        ["a", "-1", "hour"],
        ["a", "-PT1H"],
        ["a", "-1:00:00"],
        ["a", "-3600"],
        ["--", "a", "-1h"],
        ["a", "--", "-1h"],
    ],
)
def test_a_negative_duration_takes_time_away_wherever_it_stands(
    server: LocalServer, tmp_path: Path, arguments: list[str]
) -> None:
    _start(tmp_path, server, "3h", "--id", "a")
    run(tmp_path, "pause", "a", server=server)
    ran = run(tmp_path, "extend", *arguments, server=server)
    assert ran.returncode == 0, ran.stderr
    left_s = float(run(tmp_path, "get", "a", server=server).stdout.split("\t")[2])
    assert 7100 < left_s <= 7200


def test_an_id_may_look_negative(server: LocalServer, tmp_path: Path) -> None:
    _start(tmp_path, server, "3h", "--id", "-1h")
    assert run(tmp_path, "extend", "-1h", "-1h", server=server).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [(["-1h", "a"], "extend a -1h"), (["1", "h", "5", "m", "order/1"], "extend order/1 1 h 5 m")],
)
def test_a_duration_before_the_id_is_told(arguments: list[str], meant: str) -> None:
    with pytest.raises(click.UsageError, match=re.escape(f"the id comes first: {meant}")):
        root.main(["extend", *arguments], "timer", standalone_mode=False)


def test_help_is_still_help(tmp_path: Path) -> None:
    for arguments in (["extend", "a", "-h"], ["start", "--help"]):
        ran = run(tmp_path, *arguments)
        assert ran.returncode == 0
        assert re.search(r"1 hour 5 min +1 hour 5 minutes\n", ran.stdout)


@pytest.mark.parametrize("ending", ["fired", "cancelled"])
def test_one_that_has_ended_is_not_waited_for(server: LocalServer, tmp_path: Path, ending: str) -> None:
    if ending == "fired":
        run(tmp_path, "start", "0.2", "--id", "tea", server=server)
    else:
        _start(tmp_path, server, "0.2h", "--id", "tea")
        run(tmp_path, "cancel", "tea", server=server)
    amount = "0.2" if ending == "fired" else "0.2h"
    ended = "fired" if ending == "fired" else "was cancelled"
    notice = rf"timer: Timer tea was started before and {ended} at [\d:]+; `timer restart tea` runs it again\n"

    ran = run(tmp_path, "start", amount, "--id", "tea", server=server)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert re.fullmatch(notice, ran.stderr)
    ran = run(tmp_path, "start", amount, "--id", "tea", "--json", server=server)
    assert (ran.returncode, json.loads(ran.stdout)["state"]) == (1, ending)
    ran = run(tmp_path, "start", amount, "--id", "tea", "--detach", server=server)
    assert (ran.returncode, ran.stdout) == (0, f"tea\t{ending}\t0.000\n")
    assert re.fullmatch(notice, ran.stderr)


@pytest.mark.parametrize(("ran_ms", "is_its_own"), [(50, True), (60_000, False)])
def test_a_start_whose_reply_was_lost_may_find_its_own_timer_ended(
    fake: FakeServer, tmp_path: Path, ran_ms: int, is_its_own: bool
) -> None:
    ended = timer(id="tea", state="fired", remaining_ms=0, ended_at_ms=timer().started_at_ms + ran_ms)

    def answer(body: bytes) -> bytes:
        return msgspec.json.encode({"jsonrpc": "2.0", "result": ended, "id": msgspec.json.decode(body)["id"]})

    fake.faults += [unanswered, answer]
    ran = run(tmp_path, "start", "1m", "--id", "tea", "--detach", server=fake, TIMER_TIMEOUT_S="0.5")
    assert (ran.returncode, ran.stdout) == (0, "tea\tfired\t0.000\n")
    assert ("was started before" in ran.stderr) is not is_its_own


def test_a_conflict_names_the_ways_on(server: LocalServer, tmp_path: Path) -> None:
    _start(tmp_path, server, "1h", "--id", "tea")
    ran = run(tmp_path, "start", "2h", "--id", "tea", server=server)
    assert ran.returncode == 1
    assert ran.stderr.endswith("restart runs it again as it was, another id starts another\n")
    assert ran.stderr.count("restart") == 1


def test_a_question_says_what_it_takes(server: LocalServer, tmp_path: Path) -> None:
    with running(tmp_path, "start", server=server, terminal=True) as program:
        for answer, told in (
            ("99999999999", "99999999999 is too large: what is asked for is a number of hours from 0 to 876000"),
            ("25m", "'25m' is no number: what is asked for is a number of hours"),
        ):
            program.expect(r"Enter your time in hours\. ")
            program.send(f"{answer}\n")
            program.expect(re.escape(told))
        program.expect("on the command line, `start 25m` takes it")
    for answers in ("25m\n0\n0\n", "99999999999\n0\n0\n"):
        ran = run(tmp_path, "start", server=server, answers=answers)
        assert ran.returncode == 2
        assert "a number of hours from 0 to 876000, such as 5 or 1.5" in ran.stderr
