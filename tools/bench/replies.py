"""Counting replies in a stream of bytes with as little work as can be: the generator must not be what is measured."""

import struct
from typing import Protocol

_MORE, _LONG, _COMMAND = 1, 2, 4
_SHORT_HEAD, _LONG_HEAD = 2, 9
_LENGTH = struct.Struct(">Q")


class Replies(Protocol):
    """Counts the replies of one connection; `last` is the latest one in full."""

    last: bytes

    def feed(self, data: bytes) -> int:
        """How many replies these bytes complete."""
        ...


class ZmtpReplies:
    """Messages of ZMTP 3: frames with their length in front. Commands, such as PING, count as nothing."""

    def __init__(self) -> None:
        self.last = b""
        self._rest = b""

    def feed(self, data: bytes) -> int:
        """How many messages these bytes complete."""
        if self._rest:
            data = self._rest + data
        at, size, answered = 0, len(data), 0
        while size - at >= _SHORT_HEAD:
            flags = data[at]
            if flags & _LONG:
                if size - at < _LONG_HEAD:
                    break
                begin = at + _LONG_HEAD
                end = begin + _LENGTH.unpack_from(data, at + 1)[0]
            else:
                begin = at + _SHORT_HEAD
                end = begin + data[at + 1]
            if end > size:
                break
            at = end
            if not flags & (_MORE | _COMMAND):
                answered += 1
                self.last = data[begin:end]
        self._rest = data[at:]
        return answered


class LineReplies:
    """Replies of one line each that begin alike, as those of Redis to writes and of beanstalkd.

    Raises `ValueError` at a line that begins differently: it is an error, and no start.
    """

    def __init__(self, begins_with: bytes, lines_a_reply: int = 1) -> None:
        self.last = b""
        self._begins_with = begins_with
        self._lines_a_reply = lines_a_reply
        self._lines = 0
        self._rest = b""

    def feed(self, data: bytes) -> int:
        """How many replies these bytes complete."""
        *lines, self._rest = (self._rest + data).split(b"\r\n")
        for line in lines:
            if not line.startswith(self._begins_with):
                raise ValueError(f"a reply was {line[:200]!r}")
        if lines:
            self.last = lines[-1]
        before = self._lines // self._lines_a_reply
        self._lines += len(lines)
        return self._lines // self._lines_a_reply - before
