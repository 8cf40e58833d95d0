"""The server's log. Payloads are never logged."""

import logging

from timer_protocol.log_lines import fields

__all__ = ["SparingLog", "fields", "log"]

log = logging.getLogger("timer_server")

_NS_PER_S = 1_000_000_000


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
