"""Timers as Redis' commands, made before anything is timed."""

from collections.abc import Sequence

from bench.peers.redis_server import DUE, PAYLOADS, resp
from bench.start_requests import PAYLOAD_JSON

FAR_MS = 4_000_000_000_000
"""A due time with as many digits as any of today."""


def bulk(prefix: str, numbers: Sequence[int], size: int) -> list[bytes]:
    """One HSET and one ZADD for so many timers: the fewest commands there can be. Two replies each."""
    messages = []
    for at in range(0, len(numbers), size):
        ids = [f"{prefix}/{number}".encode() for number in numbers[at : at + size]]
        fields = [part for timer_id in ids for part in (timer_id, PAYLOAD_JSON)]
        scores = [part for timer_id in ids for part in (b"%d" % FAR_MS, timer_id)]
        messages.append(resp(b"HSET", PAYLOADS.encode(), *fields) + resp(b"ZADD", DUE.encode(), *scores))
    return messages


def scripted(script: bytes, prefix: str, numbers: Sequence[int], due_ms: Sequence[int] = ()) -> list[bytes]:
    """One script call for each timer; due far away where nothing else is said."""
    return [
        resp(
            *(b"EVALSHA", script, b"2", DUE.encode(), PAYLOADS.encode()),
            *(f"{prefix}/{number}".encode(), b"%d" % (due_ms[place] if due_ms else FAR_MS), PAYLOAD_JSON),
        )
        for place, number in enumerate(numbers)
    ]


def together(messages: Sequence[bytes], size: int) -> list[bytes]:
    """Commands that are sent as one piece, and count as answered when all of them are."""
    return [b"".join(messages[at : at + size]) for at in range(0, len(messages), size)]
