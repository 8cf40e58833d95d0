"""Messages in the format of server-sent events."""

from typing import Final

import msgspec

MEDIA_TYPE: Final = "text/event-stream"


def id_line(cursor: str) -> bytes:
    """What a browser sends as `Last-Event-ID` once it has the message."""
    return b"id: %b\n" % cursor.encode()


def data_lines(data: bytes) -> bytes:
    """The data of a message, JSON without line ends, and its end."""
    return b"data: %b\n\n" % data


def named(event: str, cursor: str | None, data: object) -> bytes:
    """A message with a name, so not one of a timer. Without an `id` the browser keeps the last one."""
    line = b"" if cursor is None else id_line(cursor)
    return b"event: %b\n%b%b" % (event.encode(), line, data_lines(msgspec.json.encode(data)))


def retry_line(pause_ms: int) -> bytes:
    """How long the browser is to wait before it connects again."""
    return b"retry: %d\n\n" % pause_ms
