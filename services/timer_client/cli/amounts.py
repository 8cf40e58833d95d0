"""Durations as people write them, read as hours, minutes and seconds."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from timer_protocol.durations import LONGEST_S, MS_PER_SECOND, total_ms
from timer_protocol.errors import Refusal
from timer_protocol.plurals import counted

Number = int | float

HOURS_PER_DAY = 24

EXAMPLES = (
    "90",
    "25m",
    "1h30m",
    "1h30",
    "1.5h",
    ".5h",
    "2d",
    "1 h 30 m",
    "5 minutes",
    "1 hour 5 min",
    "90 sec",
    "1:30",
    "1:30:00",
    "PT5M",
    "0 25 0",
)
"""Each form that is taken. The help texts and the table in docs/command.md are made from them."""

FORMS = (
    "90 (seconds), 25m, 1h30m, 1 hour 5 min, 5:00 (minutes:seconds), 00:05:00, PT5M, "
    "or hours minutes seconds as in 0 25 0"
)

_NAMES = {
    "days": ("d", "day", "days"),
    "hours": ("h", "hr", "hrs", "hour", "hours"),
    "minutes": ("m", "min", "mins", "minute", "minutes"),
    "seconds": ("s", "sec", "secs", "second", "seconds"),
}
"""How each unit may be written; the largest first."""

_UNITS = list(_NAMES)
_RANK = {name: rank for rank, unit in enumerate(_UNITS) for name in _NAMES[unit]}

_NUMBER = r"(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
_PLAIN = re.compile(rf"[+-]?{_NUMBER}")
_PART = re.compile(rf"(?P<number>{_NUMBER}) ?(?P<name>[a-z]*) ?", re.IGNORECASE | re.ASCII)
_ISO_8601 = re.compile(
    rf"P(?:(?P<days>{_NUMBER})D)?"
    rf"(?:T(?:(?P<hours>{_NUMBER})H)?(?:(?P<minutes>{_NUMBER})M)?(?:(?P<seconds>{_NUMBER})S)?)?",
    re.IGNORECASE | re.ASCII,
)
_CLOCK = re.compile(rf"(?:(?P<hours>[0-9]+):)?(?P<minutes>[0-9]+):(?P<seconds>{_NUMBER})")
_TWO_PARTS = re.compile(r"(?P<sign>[+-]?)(?P<first>[0-9]+):(?P<second>[0-9]+)")
_EXPONENT = re.compile(rf"[+-]?{_NUMBER}e[+-]?[0-9]+ ?[a-z]*", re.IGNORECASE | re.ASCII)


class Amounts(NamedTuple):
    """A duration as the server gets it. Not normalized: 90 seconds stay 90 seconds."""

    hours: Number = 0
    minutes: Number = 0
    seconds: Number = 0

    def spoken(self) -> str:
        """The amounts in words, without those that are zero."""
        parts = zip(self, ("hour", "minute", "second"), strict=True)
        return " ".join(counted(amount, unit) for amount, unit in parts if amount) or counted(0, "second")


def parse_duration(words: Sequence[str]) -> Amounts:
    """The duration in one word or several; it may be negative. Raises `ValueError` with a sentence."""
    text = _joined(words)
    numbers = text.split()
    if len(numbers) == 3 and all(map(_PLAIN.fullmatch, numbers)):
        amounts = Amounts(*map(_number, numbers))
    else:
        amounts = _signed(text)
    if _is_too_long(amounts):
        raise ValueError(f"{text!r} is longer than any timer may run: {counted(LONGEST_S, 'second')}, a hundred years")
    return amounts


def is_duration(words: Sequence[str]) -> bool:
    """Whether the words are a duration."""
    try:
        parse_duration(words)
    except ValueError:
        return False
    return True


def taken_for(words: Sequence[str]) -> str | None:
    """What `1:30` is taken for, as a sentence; None for a duration that can be read in one way only."""
    text = _joined(words)
    match = _TWO_PARTS.fullmatch(text)
    if match is None:
        return None
    sign = "minus " if match["sign"] == "-" else ""
    first, second = _number(match["first"]), _number(match["second"])
    taken, other = Amounts(0, first, second), Amounts(first, second)
    return f"{text} is taken for {sign}{taken.spoken()}; {text}:00 is {sign}{other.spoken()}"


def parse_answer(text: str, unit: str) -> Number:
    """The answer to the question for hours, minutes or seconds: one number. Raises `ValueError` with a sentence."""
    text = text.strip()
    most = LONGEST_S * MS_PER_SECOND // total_ms(**{"hours": 0, "minutes": 0, "seconds": 0, unit: 1})
    takes = f"what is asked for is a number of {unit} from 0 to {most}, such as 5 or 1.5"
    if not _PLAIN.fullmatch(text):
        _check_exponent(text)
        elsewhere = f"; on the command line, `start {text}` takes it" if is_duration([text]) else ""
        raise ValueError(f"{text!r} is no number: {takes}{elsewhere}")
    number = _number(text)
    if not 0 <= number <= most:
        raise ValueError(f"{text} is {'negative' if number < 0 else 'too large'}: {takes}")
    return number


def _joined(words: Sequence[str]) -> str:
    return " ".join(" ".join(words).split())


def _number(text: str) -> Number:
    """A decimal number; whole ones stay whole, but for those with more digits than any duration has."""
    return float(text) if "." in text or len(text) > len(str(LONGEST_S * MS_PER_SECOND)) else int(text)


def _signed(text: str) -> Amounts:
    """A duration with at most one sign, which stands before all of it."""
    _check_exponent(text)
    sign = text[:1] if text[:1] in ("+", "-") else ""
    unsigned = text.removeprefix(sign).lstrip()
    match = _ISO_8601.fullmatch(unsigned) or _CLOCK.fullmatch(unsigned)
    parts = {unit: part for unit, part in match.groupdict().items() if part} if match else dict(_parts(text, unsigned))
    if not parts:
        raise _no_duration(text)
    days, hours, minutes, seconds = (_number(sign + parts.get(unit, "0")) for unit in _UNITS)
    return Amounts(hours + days * HOURS_PER_DAY, minutes, seconds)


def _parts(text: str, unsigned: str) -> Iterator[tuple[str, str]]:
    """The units in a text such as `1h30m` or `1 hour 5`, each with its number.

    A number at the end without a unit counts the next smaller one; where it stands alone, seconds. No other may lack
    one: in `1 30m` it may be meant as the hours, or as the beginning of 130. Nor may it follow a fraction: `1.5h30`
    may be meant as an hour and a half, or as half an hour more.
    """
    parts = [*_PART.finditer(unsigned)]
    if "".join(part.group() for part in parts) != unsigned:
        raise _no_duration(text)
    for part, following in pairwise(parts):
        if not part["name"]:
            first, second = part.group().strip(), following.group().strip()
            raise ValueError(
                f"{text!r} leaves open what {first!r} before {second!r} counts; "
                "write a unit after each number, as in 1h 30m, or hours minutes seconds, as in 0 25 0"
            )
    if len(parts) > 1 and "." in parts[-2]["number"] and not parts[-1]["name"]:
        before, end = (part.group().strip() for part in parts[-2:])
        raise ValueError(
            f"{text!r} leaves open what {end!r} after the fraction {before!r} counts; "
            "write a unit after each number, as in 1.5h 30m, or no fraction, as in 1h30"
        )
    last = -1
    for part in parts:
        if part["name"]:
            rank = _RANK.get(part["name"].lower(), -1)
        else:
            rank = last + 1 if last >= 0 else _UNITS.index("seconds")
        if not last < rank < len(_UNITS):
            raise _no_duration(text)
        last = rank
        yield _UNITS[rank], part["number"]


def _check_exponent(text: str) -> None:
    if _EXPONENT.fullmatch(text):
        raise ValueError(f"{text!r} has an exponent; write the number out, as in 1000 for 1e3")


def _is_too_long(amounts: Amounts) -> bool:
    try:
        return abs(total_ms(*amounts)) > LONGEST_S * MS_PER_SECOND
    except Refusal:
        return True


def _no_duration(text: str) -> ValueError:
    return ValueError(f"{text!r} is no duration; write {FORMS}")
