"""Logs: one line a decision on standard error, as text for people or JSON for programs. Never a payload."""

import logging
from datetime import UTC, datetime
from typing import Any

import msgspec

log = logging.getLogger("timer_server")


def fields(**values: Any) -> dict[str, dict[str, Any]]:
    """What goes beside an event's name: `log.info("listening", extra=fields(commands=...))`."""
    return {"fields": values}


def set_up(level: str, form: str) -> None:
    """Sends the log to standard error in the form `text` or `json`."""
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonFormatter() if form == "json" else _TextFormatter())
    log.handlers[:] = [handler]
    log.setLevel(level.upper())
    log.propagate = False


def _time_of(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {"time": _time_of(record), "level": record.levelname.lower(), "event": record.getMessage()}
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        parts = [_time_of(record), record.levelname.lower(), record.getMessage()]
        parts += [f"{name}={value}" for name, value in getattr(record, "fields", {}).items()]
        text = " ".join(parts)
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text
