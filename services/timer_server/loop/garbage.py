"""A policy for Python's garbage collector: the loop seldom waits for a look at all objects.

Only cycles need the collector, and those that the server makes die young. With a million timers, looking at all objects
takes tens of milliseconds. Python by itself does so every few seconds under load; here their number has to double.
"""

import gc

_COUNTED_EVERY_BEATS = 60

_MORE_OBJECTS = 100_000
"""Objects beyond twice their last number that lead to a look at all: some tens of megabytes, if cycles leak. Only those
count that can be part of a cycle, which timers cannot."""

_NEVER = 2**31 - 1


class GarbagePolicy:
    """Leaves the youngest generation to Python. Older objects are set aside, and counted now and then.

    The middle one holds thousands of objects, each of which has some hundred records where starts pour in: a look at it
    would take tens of milliseconds.
    """

    def __init__(self) -> None:
        """To be called before the timers are loaded."""
        self._thresholds = gc.get_threshold()
        gc.set_threshold(self._thresholds[0], _NEVER, _NEVER)
        self._look()

    def loaded(self) -> None:
        """To be called once the timers are loaded: what holds them is set aside, without a look at them all."""
        self._set_aside()

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
        """Puts Python's own policy back in force."""
        gc.set_threshold(*self._thresholds)
        gc.unfreeze()

    def _look(self) -> None:
        """Collects all cycles, and sets aside the objects that are left."""
        gc.collect()
        self._set_aside()

    def _set_aside(self) -> None:
        self._beats = 0
        gc.freeze()
        self._most = 2 * gc.get_freeze_count() + _MORE_OBJECTS
