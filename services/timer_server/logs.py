"""The server's log. Payloads are never logged."""

import logging

from timer_protocol.log_lines import fields

__all__ = ["RepeatedFault", "SparingLog", "fields", "log"]

log = logging.getLogger("timer_server")

_NS_PER_S = 1_000_000_000

_FAULT_EVERY_NS = 10 * _NS_PER_S


class SparingLog:
    """Logs lines that peers cause, a limited number a second. The next line after that tells how many were left out."""

    def __init__(self, lines_a_second: int) -> None:
        self._lines_a_second = lines_a_second
        self._until_ns = 0
        self._lines = 0

    def info(self, now_ns: int, text: str, *arguments: object) -> None:
        """Logs a line, unless there were too many within the second."""
        if now_ns >= self._until_ns:
            if self._lines > self._lines_a_second:
                log.info("lines left out", extra=fields(count=self._lines - self._lines_a_second))
            self._until_ns = now_ns + _NS_PER_S
            self._lines = 0
        self._lines += 1
        if self._lines <= self._lines_a_second:
            log.info(text, *arguments)


class RepeatedFault:
    """Warns of what fails again and again: at once, and then every 10 s at most."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._next_ns: int | None = None

    def warn(self, reason: str, now_ns: int) -> None:
        """Logs why it has failed, unless that was done lately."""
        if self._next_ns is None or now_ns >= self._next_ns:
            self._next_ns = now_ns + _FAULT_EVERY_NS
            log.warning(self._text, extra=fields(reason=reason))
