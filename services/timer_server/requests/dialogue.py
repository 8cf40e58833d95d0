"""The plain dialogue: hours, minutes and seconds as three decimal texts, in one message or in three.

Each text comes back as it was, and the third starts the timer. A text that cannot be used gets `error: ` and the
reason; the numbers before it are dropped, so that the next text is hours again.
"""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from timer_protocol.errors import Refusal
from timer_protocol.messages import StartParams
from timer_protocol.plurals import counted
from timer_server.limits import DIALOGUE_LINES_A_SECOND, TRIPLE_EXPIRES_S, TRIPLES_MAXIMUM
from timer_server.logs import SparingLog

TRIPLE_EXPIRES_NS = TRIPLE_EXPIRES_S * 1_000_000_000

_NAMES = ("hours", "minutes", "seconds")
_DECIMAL = re.compile(r"[0-9]{1,15}(\.[0-9]{1,15})?")
_SHOWN = 40


Start = Callable[[StartParams], object]
"""Starts a timer. May raise `Refusal`."""


class _Triple(NamedTuple):
    begun_ns: int
    amounts: tuple[int | float, ...]


class SeedDialogue:
    """Takes the texts of all peers and starts a timer for each complete triple."""

    def __init__(self) -> None:
        self._triples: dict[bytes, _Triple] = {}
        self._log = SparingLog(DIALOGUE_LINES_A_SECOND)

    def reply(self, peer: bytes, texts: Sequence[bytes], now_ns: int, start: Start) -> list[bytes]:
        """The frames to send back to a peer for the frames it sent. `start` starts a timer in its name."""
        begun = self._take(peer, now_ns)
        try:
            amounts = _amounts(begun.amounts, texts)
            for text in texts:
                self._log.info(now_ns, "From client: %s", text.decode().strip())
            if len(amounts) == len(_NAMES):
                hours, minutes, seconds = amounts
                start(StartParams(hours=hours, minutes=minutes, seconds=seconds))
            else:
                self._keep(peer, _Triple(begun.begun_ns, amounts))
        except (ValueError, Refusal) as error:
            again = "; begin again with the hours" if begun.amounts else ""
            return [f"error: {error}{again}".encode()]
        return list(texts)

    def _take(self, peer: bytes, now_ns: int) -> _Triple:
        triple = self._triples.pop(peer, None)
        if triple is None or now_ns - triple.begun_ns > TRIPLE_EXPIRES_NS:
            return _Triple(now_ns, ())
        return triple

    def _keep(self, peer: bytes, triple: _Triple) -> None:
        while len(self._triples) >= TRIPLES_MAXIMUM:
            del self._triples[next(iter(self._triples))]
        self._triples[peer] = triple


def _amounts(begun: tuple[int | float, ...], texts: Sequence[bytes]) -> tuple[int | float, ...]:
    """The numbers so far, with those of these texts. Raises ValueError."""
    if len(texts) == 1:
        return (*begun, _amount(texts[0], _NAMES[len(begun)]))
    if len(texts) == len(_NAMES):
        return tuple(_amount(text, name) for text, name in zip(texts, _NAMES, strict=True))
    got = counted(len(texts), "frame")
    raise ValueError(f"expected hours, minutes and seconds in 3 frames, or one of them in 1; got {got}")


def _amount(text: bytes, name: str) -> int | float:
    """The number in a text. Raises ValueError unless it is a decimal one."""
    decimal = text.decode("ascii", errors="replace").strip()
    if not _DECIMAL.fullmatch(decimal):
        shown = repr(text[:_SHOWN].decode(errors="replace")) if text else "an empty frame"
        raise ValueError(f"{name} must be a decimal number such as 0, 5 or 1.5; got {shown}")
    return float(decimal) if "." in decimal else int(decimal)
