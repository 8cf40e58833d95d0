"""Records of a log as lines: of text for people or of JSON for programs. All programs that serve write the same."""

import logging
from datetime import UTC, datetime
from typing import Any

import msgspec


def fields(**values: Any) -> dict[str, dict[str, Any]]:
    """The fields of a line, as in `log.info("listening", extra=fields(commands=...))`."""
    return {"fields": values}


def formatter(form: str) -> logging.Formatter:
    """What makes a line of a record, in the form `text` or `json`."""
    return _JsonFormatter() if form == "json" else _TextFormatter()


def _time_of(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _in_one_line(value: object) -> str:
    """A value as one line. It may hold text from a peer, which must not look like a line of ours."""
    text = str(value)
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def _encodable(value: object) -> object:
    """A value as it is, but for the bytes of a path that are no text: they are escaped."""
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {"time": _time_of(record), "level": record.levelname.lower(), "event": record.getMessage()}
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode({name: _encodable(value) for name, value in line.items()}, enc_hook=str).decode()


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        parts = [_time_of(record), record.levelname.lower(), record.getMessage()]
        parts += [f"{name}={_in_one_line(value)}" for name, value in getattr(record, "fields", {}).items()]
        text = " ".join(parts)
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text
