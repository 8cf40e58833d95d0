"""Replies are counted whatever pieces they come in."""

import pytest

from bench.replies import LineReplies, Replies, ZmtpReplies
from drivers.raw_zmtp import command, frame, message


def fed(replies: Replies, data: bytes, piece: int) -> int:
    return sum(replies.feed(data[at : at + piece]) for at in range(0, len(data), piece))


@pytest.mark.parametrize("piece", [1, 2, 3, 10, 1000, 100_000])
def test_messages_are_counted_and_neither_frames_nor_commands(piece: int) -> None:
    data = frame(b"one") + command(b"PING", b"\0\0") + message(b"", b"two") + frame(b"x" * 70_000) + frame(b"last")
    replies = ZmtpReplies()
    assert fed(replies, data, piece) == 4
    assert replies.last == b"last"


def test_half_a_message_is_none() -> None:
    replies = ZmtpReplies()
    assert replies.feed(frame(b"x" * 300)[:-1]) == 0
    assert replies.feed(b"x") == 1


@pytest.mark.parametrize("piece", [1, 2, 5, 100])
def test_lines_are_counted(piece: int) -> None:
    assert fed(LineReplies(b":"), b":1\r\n:500\r\n:0\r\n", piece) == 3


@pytest.mark.parametrize("piece", [1, 3, 100])
def test_several_lines_may_be_one_reply(piece: int) -> None:
    replies = LineReplies(b"INSERTED ", lines_a_reply=2)
    assert fed(replies, b"INSERTED 1\r\n" * 5, piece) == 2
    assert replies.feed(b"INSERTED 6\r\n") == 1


def test_an_error_is_no_reply() -> None:
    with pytest.raises(ValueError, match="OOM"):
        LineReplies(b":").feed(b":1\r\n-OOM command not allowed\r\n")
