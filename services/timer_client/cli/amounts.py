"""Durations as people write them: `90`, `1h30m`, `25m`, `00:05:00`, `PT5M`, or hours, minutes and seconds."""

import re
from collections.abc import Sequence
from typing import NamedTuple

Number = int | float

HOURS_PER_DAY = 24

_NUMBER = r"[0-9]{1,9}(?:\.[0-9]{1,9})?"
_PLAIN = re.compile(rf"[+-]?{_NUMBER}")
_UNITS = re.compile(
    rf"(?:(?P<days>{_NUMBER})d)?(?:(?P<hours>{_NUMBER})h)?"
    rf"(?:(?P<minutes>{_NUMBER})m(?:in)?)?(?:(?P<seconds>{_NUMBER})s)?",
    re.IGNORECASE,
)
_ISO_8601 = re.compile(
    rf"P(?:(?P<days>{_NUMBER})D)?"
    rf"(?:T(?:(?P<hours>{_NUMBER})H)?(?:(?P<minutes>{_NUMBER})M)?(?:(?P<seconds>{_NUMBER})S)?)?",
    re.IGNORECASE,
)
_CLOCK = re.compile(rf"(?:(?P<hours>[0-9]{{1,9}}):)?(?P<minutes>[0-9]{{1,9}}):(?P<seconds>{_NUMBER})")

FORMS = "90 (seconds), 1h30m, 25m, 00:05:00, PT5M, or hours minutes seconds as in 0 25 0"


class Amounts(NamedTuple):
    """A duration as the server gets it. Not normalized: 90 seconds stay 90 seconds."""

    hours: Number = 0
    minutes: Number = 0
    seconds: Number = 0


def parse_duration(words: Sequence[str]) -> Amounts:
    """The duration in one word or several; it may be negative. Raises `ValueError` with a sentence."""
    if len(words) in (1, 3) and all(_PLAIN.fullmatch(word) for word in words):
        numbers = [parse_number(word) for word in words]
        return Amounts(*numbers) if len(words) == 3 else Amounts(seconds=numbers[0])
    text = "".join(words)
    sign, unsigned = (text[0], text[1:]) if text[:1] in ("+", "-") else ("", text)
    for form in (_UNITS, _ISO_8601, _CLOCK):
        match = form.fullmatch(unsigned)
        parts = {name: part for name, part in match.groupdict().items() if part} if match else {}
        if parts:
            return _signed(parts, sign)
    raise ValueError(f"{' '.join(words)!r} is no duration; write {FORMS}")


def parse_number(text: str) -> Number:
    """A decimal number; whole ones stay whole. Raises `ValueError` with a sentence."""
    stripped = text.strip()
    if not _PLAIN.fullmatch(stripped):
        raise ValueError(f"{text.strip()!r} is no number such as 5 or 1.5")
    return float(stripped) if "." in stripped else int(stripped)


def parse_amount(text: str) -> Number:
    """A number that is not negative, as an answer to one of the three questions. Raises `ValueError`."""
    number = parse_number(text)
    if number < 0:
        raise ValueError(f"{text.strip()} is negative; a timer can only run forward")
    return number


def _signed(parts: dict[str, str], sign: str) -> Amounts:
    days, hours, minutes, seconds = (
        parse_number(sign + parts.get(name, "0")) for name in ("days", "hours", "minutes", "seconds")
    )
    return Amounts(hours + days * HOURS_PER_DAY, minutes, seconds)
