"""`timer events` and the file that keeps its position."""

import signal
from pathlib import Path

import msgspec
import pytest

from client.command import run, running
from client.fake_server import LOG, FakeServer, answered, page_of, timer

LAST = 5


def _serve(fake: FakeServer) -> None:
    """Gives the server a log of five events; it has no others, ever."""

    def answer(body: bytes) -> bytes:
        if b"server.info" in body:  # asked for after a silence
            return answered(body)
        after = msgspec.json.decode(body)["params"]["after"].get(LOG, 0)
        events = [
            {"log": LOG, "seq": seq, "kind": "fired", "at_ms": 0, "timer": timer(id=f"t{seq}")}
            for seq in range(after + 1, LAST + 1)
        ]
        return page_of(body, events, {LOG: LAST})

    fake.faults += [answer] * 10


def test_each_run_goes_on_where_the_one_before_ended(fake: FakeServer, tmp_path: Path) -> None:
    """Where the first one begins, --after says."""
    kept = tmp_path / "position"
    arguments = ["--cursor-file", "position", "--after", "start", "--json"]
    for seqs in ([1, 2], [3], [4, 5]):
        _serve(fake)
        ran = run(tmp_path, "events", *arguments, "--count", str(len(seqs)), server=fake)
        assert [msgspec.json.decode(line)["seq"] for line in ran.stdout.splitlines()] == seqs, ran.stderr
        assert kept.read_text() == f"{LOG}:{seqs[-1]}\n"
        fake.faults.clear()
    assert list(tmp_path.iterdir()) == [kept]


def test_the_position_is_kept_as_events_are_printed_and_before_the_first(fake: FakeServer, tmp_path: Path) -> None:
    kept = tmp_path / "position"
    with running(tmp_path, "events", "--cursor-file", "position", server=fake) as program:
        fake.next_message()  # server.info tells where its log ends: 0
        fake.next_message()  # and nothing is read after it
        assert kept.read_text() == f"{LOG}:0\n"
        _serve(fake)
        fake.publish(b"~beat", {"logs": {LOG: {"seq": LAST, "now_ms": 0}}})
        program.expect("t5")
        program.signal(signal.SIGKILL)
        program.wait()
    assert kept.read_text() in (f"{LOG}:4\n", f"{LOG}:5\n")  # killed between printing and keeping, it comes again


def test_where_nothing_matched_the_position_is_kept_at_the_end(fake: FakeServer, tmp_path: Path) -> None:
    kept = tmp_path / "position"
    kept.write_text(f"{LOG}:2")
    _serve(fake)
    with running(tmp_path, "events", "none/", "--cursor-file", "position", server=fake) as program:
        fake.next_message()
        fake.next_message()  # after the silence of the events socket: the page before it was taken
        program.signal(signal.SIGINT)
        assert program.wait() == -signal.SIGINT
    assert kept.read_text() == f"{LOG}:{LAST}\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", ", '' is no cursor: that is \"start\", or log:seq joined by commas"),
        (b"17\n", ", '17' is no cursor: that is"),
        (b"\xff\xfe", " holds no cursor: it is no text at all"),
    ],
)
def test_a_file_with_something_else_in_it_is_left_alone(tmp_path: Path, content: bytes, reason: str) -> None:
    kept = tmp_path / "position"
    kept.write_bytes(content)
    ran = run(tmp_path, "events", "--cursor-file", "position")
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert f"the file {kept}{reason}" in ran.stderr
    assert kept.read_bytes() == content


def test_what_is_no_position_is_told(tmp_path: Path) -> None:
    ran = run(tmp_path, "events", "--after", "0")
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert "timer: --after: '0' is no cursor" in ran.stderr


def test_a_folder_that_is_not_there_ends_it_before_the_first_event(fake: FakeServer, tmp_path: Path) -> None:
    ran = run(tmp_path, "events", "--cursor-file", "nowhere/position", server=fake)
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert "nowhere/position cannot be written: No such file or directory" in ran.stderr
