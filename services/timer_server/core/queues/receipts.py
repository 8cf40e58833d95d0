"""Receipts as text: the log, the queue and the number of a lease."""

from collections.abc import Iterable

from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.limits import LOG_ID_CHARACTERS

_MARK = "~"
_SHOWN_CHARACTERS = 60


class Receipts:
    """The receipts of a queue in a log. Neither name can hold the mark between the parts."""

    def __init__(self, log_id: str, queue: str) -> None:
        self._log_id = log_id
        self._queue = queue
        self._prefix = f"{log_id}{_MARK}{queue}{_MARK}"

    def text(self, number: int) -> str:
        """The receipt of a lease."""
        return f"{self._prefix}{number}"

    def numbers(self, receipts: Iterable[str]) -> list[int | None]:
        """The numbers of receipts, None for those of another log. Raises `Refusal` (invalid_params) for other texts."""
        prefix, start = self._prefix, len(self._prefix)
        found: list[int | None] = []
        for receipt in receipts:
            number = receipt[start:] if receipt.startswith(prefix) else ""
            if number.isdigit() and number.isascii() and number[0] != "0":
                found.append(int(number))
            else:
                self._check_other(receipt)
                found.append(None)
        return found

    def _check_other(self, receipt: str) -> None:
        """Raises `Refusal` (invalid_params) unless it is a receipt of this queue, from another log."""
        parts = receipt.split(_MARK)
        if len(parts) != 3 or len(parts[0]) != LOG_ID_CHARACTERS or not _is_number(parts[2]):
            raise _no_receipt(f"{_short(receipt)} is no receipt, such as each delivery has")
        if parts[1] != self._queue or parts[0] == self._log_id:
            raise _no_receipt(f"{_short(receipt)} is a receipt of queue {parts[1]!r}, not of {self._queue!r}")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and not text.startswith("0")


def _short(receipt: str) -> str:
    return repr(receipt if len(receipt) <= _SHOWN_CHARACTERS else receipt[:_SHOWN_CHARACTERS] + "…")


def _no_receipt(reason: str) -> Refusal:
    return Refusal(ErrorCode.INVALID_PARAMS, f"{reason}; nothing of this call was applied")
