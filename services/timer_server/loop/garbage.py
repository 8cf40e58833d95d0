"""A policy for Python's garbage collector: it does not look through a million timers while the loop waits for it.

Only cycles need it, and those that the server makes die young. Looking at all that is alive takes tens of ms with a
million timers. Left to itself, Python does so every few seconds under load; here it is done where there is reason to.
"""

import gc

_COUNTED_EVERY_BEATS = 60

_MORE_OBJECTS = 100_000
"""So many more objects that can be part of a cycle than before, and again as many as before, are a reason: some tens of
megabytes, should there be a leak of cycles. Timers are none of them."""

_NEVER = 2**31 - 1


class GarbagePolicy:
    """Leaves the two young generations to Python. What outlives them is set aside, and counted now and then."""

    def __init__(self) -> None:
        """To be made when all is loaded that lives long."""
        self._thresholds = gc.get_threshold()
        gc.set_threshold(*self._thresholds[:2], _NEVER)
        self._look()

    def beat(self) -> None:
        """To be called once a second."""
        self._beats += 1
        if self._beats % _COUNTED_EVERY_BEATS:
            return
        gc.freeze()
        if gc.get_freeze_count() > self._most:
            gc.unfreeze()
            self._look()

    def close(self) -> None:
        """Leaves everything to Python again."""
        gc.set_threshold(*self._thresholds)
        gc.unfreeze()

    def _look(self) -> None:
        """Collects what there is, and sets aside the rest."""
        self._beats = 0
        gc.collect()
        gc.freeze()
        self._most = 2 * gc.get_freeze_count() + _MORE_OBJECTS
