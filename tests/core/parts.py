"""Restoring a log in parts, with nothing at hand but the specs that are said to be needed."""

from collections.abc import Callable, Iterable, Sequence

from timer_server.core.engine import Engine
from timer_server.core.ledger import LogEnds
from timer_server.core.model import Countdown, Entry


def restore_in_parts(
    engine: Engine, parts: Iterable[Sequence[Entry]], ends: LogEnds, holder_at: Callable[[int], Countdown], most: int
) -> None:
    """Loads a log, up to `most` entries of a part at a time."""
    at_hand: dict[int, Countdown] = {}
    restoring = engine.restoring(ends, at_hand.__getitem__)
    for part in (whole[at : at + most] for whole in parts for at in range(0, len(whole), most)):
        needed = restoring.specs_needed()
        needed.look_at(part)
        at_hand.clear()
        at_hand.update({place: holder_at(place) for place in needed.places})
        restoring.take(part)
    restoring.finish()
