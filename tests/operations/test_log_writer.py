"""Log lines go to a descriptor in order, whoever reads it, and never hold up who logs."""

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from timer_protocol.log_writer import QUEUED_BYTES, LogWriter

LIMIT_S = 10
LINE = "x" * 1000


class Pipe:
    """A pipe whose reader may stall."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        self._read = b""
        self._writers: list[LogWriter] = []

    def log_writer(self) -> LogWriter:
        """Writes to this pipe."""
        self._writers.append(LogWriter(self.writer, "utf-8"))
        return self._writers[-1]

    def next_line(self) -> str:
        while b"\n" not in self._read:
            self._read += os.read(self.reader, 65_536)
        line, _, self._read = self._read.partition(b"\n")
        return line.decode()

    def close(self) -> None:
        with contextlib.suppress(OSError):  # a test may have closed it
            os.close(self.reader)
        for writer in self._writers:  # what is left fails now; later it would go to whatever has the number by then
            writer.flush()
        os.close(self.writer)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.close()


def overfill(writer: LogWriter) -> int:
    """Logs numbered lines until some are dropped; returns the number of all."""
    begun = time.monotonic()
    number = 0
    while writer.dropped < 3:
        assert number * len(LINE) < 2 * QUEUED_BYTES
        writer.put(f"{number} {LINE}")
        number += 1
    assert time.monotonic() - begun < LIMIT_S
    return number


def test_a_reader_that_stalls_holds_up_nobody_and_is_told_how_much_it_missed(pipe: Pipe) -> None:
    writer = pipe.log_writer()

    written = overfill(writer) - writer.dropped
    assert written * len(LINE) > QUEUED_BYTES / 2
    assert [pipe.next_line() for _ in range(written)] == [f"{number} {LINE}" for number in range(written)]
    assert pipe.next_line() == "log lines dropped"
    writer.put("it flows again")

    assert pipe.next_line() == "it flows again"
    assert writer.dropped == 3


def test_who_logs_while_a_reader_comes_back_sees_each_line_or_its_number(pipe: Pipe) -> None:
    """Each gap in the lines is told before what follows it."""
    writer = pipe.log_writer()
    writer.format = lambda record: f"dropped {record.__dict__['fields']['count']}"  # type: ignore[method-assign]
    logging = threading.Thread(target=lambda: [writer.put(f"{number} {LINE}") for number in range(5000)] + ["end"])
    logging.start()

    expected = 0
    while expected < 5000:
        word, _, count = pipe.next_line().partition(" ")
        if word == "dropped":
            expected += int(count)
        else:
            assert word == str(expected)
            expected += 1

    logging.join(LIMIT_S)


def test_others_who_share_the_open_file_may_make_it_not_block(pipe: Pipe) -> None:
    os.set_blocking(pipe.writer, False)
    writer = pipe.log_writer()

    lines = [f"{number} {LINE}" for number in range(300)]
    for line in lines:
        writer.put(line)

    assert [pipe.next_line() for _ in lines] == lines
    assert not os.get_blocking(pipe.writer)


def test_the_open_file_goes_on_blocking_for_others(pipe: Pipe) -> None:
    overfill(pipe.log_writer())

    assert os.get_blocking(pipe.writer)


def test_lines_that_cannot_be_written_are_counted(pipe: Pipe) -> None:
    os.close(pipe.reader)
    writer = pipe.log_writer()

    for _ in range(3):
        writer.put("to nobody")
        writer.flush()

    assert writer.dropped == 3


def test_what_a_full_disk_has_swallowed_is_told_once_there_is_room(pipe: Pipe) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    target = os.dup(full)
    writer = LogWriter(target, "utf-8")
    for _ in range(2):
        writer.put("lost")
        writer.flush()
    assert writer.dropped == 2

    os.dup2(pipe.writer, target)
    writer.put("kept")

    assert [pipe.next_line(), pipe.next_line()] == ["log lines dropped", "kept"]
    assert writer.dropped == 2
    os.close(full)


def test_the_end_of_the_process_waits_a_moment_for_the_last_lines(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        writer = LogWriter(file.fileno(), "ascii")
        writer.put("é 1")
        writer.put("2")
        writer.flush()

        assert (tmp_path / "log").read_text() == "\\xe9 1\n2\n"


def test_it_does_not_wait_for_a_reader_that_stalls(pipe: Pipe) -> None:
    writer = pipe.log_writer()
    overfill(writer)
    begun = time.monotonic()

    writer.flush()

    assert time.monotonic() - begun < LIMIT_S
