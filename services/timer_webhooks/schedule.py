"""When a webhook that failed is sent again: the schedule of the specification, with jitter, and `Retry-After`."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

DELAYS_S = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""How long to wait after the first, second … attempt; the last for all others."""

JITTER = 0.2
"""What chance adds at the most, as a part of the delay: so those that failed together do not come back together."""

RETRY_AFTER_MOST_S = 86_400.0

_MS_PER_S = 1_000


def delay_ms(attempt: int, retry_after_s: float, chance: float) -> int:
    """How long to wait after an attempt, counted from 1: as scheduled, or longer where the endpoint asks for that.

    `chance` is from 0 to 1.
    """
    scheduled_s = DELAYS_S[min(attempt, len(DELAYS_S)) - 1]
    asked_s = min(retry_after_s, RETRY_AFTER_MOST_S)
    return round(max(scheduled_s, asked_s) * (1 + JITTER * chance) * _MS_PER_S)


def retry_after_s(text: str, now_s: float) -> float:
    """How long a header `Retry-After` asks to wait: a number of seconds or a date; 0 where it is neither."""
    text = text.strip()
    if re.fullmatch(r"[0-9]+", text, re.ASCII):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
        aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return max(0.0, (aware - datetime.fromtimestamp(now_s, UTC)).total_seconds())
    except (ValueError, OverflowError, IndexError, TypeError):  # a stranger's text may be anything
        return 0.0
