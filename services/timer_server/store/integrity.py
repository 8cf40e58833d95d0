"""What tells a damaged log from a whole one: a checksum on every block, and a count of what should be there."""

from collections.abc import Iterable, Iterator
from zlib import crc32

from timer_server.core.model import Timer


class Damage(Exception):
    """What was read is not what was written. The text says what was found, and where in the log."""


def sealed(body: bytes, key: int = 0) -> tuple[bytes, int]:
    """A body with the checksum to store beside it, which covers the key of its row as well."""
    return body, crc32(body, key)


def is_sound(body: object, checksum: object, key: int = 0) -> bool:
    """Whether body and key are what the checksum was made of; damage may have changed the types of what was stored."""
    return isinstance(body, bytes) and crc32(body, key) == checksum


def complete(events: Iterable[Timer], held: int, horizon: int, last_seq: int) -> Iterator[Timer]:
    """The events of a log, checked to be all that it should hold: `held` of them, and none missing after the horizon.

    Raises `Damage` at the first that is out of place, or at the end.
    """
    found, last, expected = 0, 0, horizon + 1
    for event in events:
        seq = event.seq
        if seq == expected:
            expected += 1
        elif seq > horizon:
            raise Damage(f"event {expected} is missing, event {seq} stands in its place")
        elif seq <= last:
            raise Damage(f"event {seq} stands after event {last}")
        found, last = found + 1, seq
        yield event
    if expected - 1 != max(last_seq, horizon):
        raise Damage(f"it ends at event {expected - 1}, and should end at {last_seq}")
    if found != held:
        raise Damage(f"it holds {found} events, and should hold {held}")
