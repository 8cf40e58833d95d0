"""Moments as text (RFC 3339): one grammar for the server, and for a client that checks what it is going to send."""

import re
from datetime import datetime

from timer_protocol.errors import ErrorCode, Refusal

_WRITTEN = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(?:([Zz])|([+-]\d\d:\d\d))?", re.ASCII
)


def read_moment(text: str, *, has_zone: bool) -> tuple[datetime, int]:
    """What a text says to the second, and the milliseconds beyond that, rounded up.

    It has its offset from UTC, or is what the clocks of a zone show that is named beside it: then it has no offset.
    Raises `Refusal` (invalid_params).
    """
    written = _WRITTEN.fullmatch(text)
    if written is None:
        raise not_a_moment(text, "expected a moment such as 2026-12-01T09:00:00+01:00, or a local time with a zone")
    day, minute, second, fraction, utc, offset = written.groups()
    is_local = utc is None and offset is None
    if is_local is not has_zone:
        what = "a local time needs a zone" if is_local else "a moment with an offset takes no zone beside it"
        raise not_a_moment(text, what)
    try:
        moment = datetime.fromisoformat(f"{day}T{minute}:{second or '00'}{'+00:00' if utc else offset or ''}")
    except ValueError as error:
        raise not_a_moment(text, str(error)) from None
    return moment, -(-int((fraction or "").ljust(9, "0")) // 1_000_000)


def not_a_moment(text: str, what: str) -> Refusal:
    """Why a text stands for no moment."""
    return Refusal(ErrorCode.INVALID_PARAMS, f"{text!r} is no moment: {what}")
