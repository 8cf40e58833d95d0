"""Arguments of the command: what a text on the command line stands for. Each raises `ArgumentTypeError` for another."""

from argparse import ArgumentTypeError
from pathlib import Path

from timer_protocol.key_files import check_name, check_prefix, max_timers_from_text, rights_from_text
from timer_protocol.sender import Right
from timer_server.limits import LEASE_LEAST_MS, LEASE_MOST_MS, SHARDS_MOST


def shards(text: str) -> int:
    """How many shards a store has."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= SHARDS_MOST):
        raise ArgumentTypeError(f"{text!r} is no whole number from 1 to {SHARDS_MOST}")
    return int(text)


def lease_ms(text: str) -> int:
    """A lease in seconds, as milliseconds."""
    try:
        lease_ms = round(float(text) * 1000)
    except (ValueError, OverflowError):
        lease_ms = 0
    if not LEASE_LEAST_MS <= lease_ms <= LEASE_MOST_MS:
        span = f"{LEASE_LEAST_MS // 1000} to {LEASE_MOST_MS // 1000}"
        raise ArgumentTypeError(f"{text!r} is no number of seconds from {span}")
    return lease_ms


def store_path(text: str) -> Path:
    """The path of a store that is a file, as TIMER_STORE or a path says it."""
    path = text.removeprefix("sqlite:///")
    if not path or ":" in path.partition("/")[0]:  # memory:, or a URL of something else
        raise ArgumentTypeError(f"{text!r} is neither sqlite:///PATH (four slashes for /PATH) nor a path")
    return Path(path)


def name(text: str) -> str:
    """The name of a client."""
    try:
        check_name(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
    return text


def prefix(text: str) -> str:
    """What ids begin with."""
    try:
        check_prefix(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r}: {error}") from None
    return text


def rights(text: str) -> frozenset[Right]:
    """Rights, with commas between them."""
    try:
        return rights_from_text(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def max_timers(text: str) -> int:
    """How many timers may be pending."""
    try:
        return max_timers_from_text(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
