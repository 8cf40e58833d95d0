"""The head start: how long before a deadline an idle loop begins to make the end of the timer durable.

Waking up and a commit take some tenths of a millisecond. Begun so much earlier, the end is on disk at its deadline, and
is told then. Nobody is told before, and nobody can ask before, as the loop receives nothing meanwhile.
"""

_FIRST_NS = 250_000
_LEAST_NS = 50_000
_MOST_NS = 500_000
"""Requests that come in meanwhile wait for no longer than this, or for the commit. On a slow disk ends are late."""

_LONGER_NS = 20_000
_SHORTER_NS = 5_000
"""A fourth of the other step, so that four of five commits are done in time, and wait for little."""


class HeadStart:
    """An estimate, in `ns`, of the time from the alarm to the end of the commit, which follows what it takes here."""

    def __init__(self) -> None:
        self.ns = _FIRST_NS

    def note(self, was_in_time: bool) -> None:
        """Adapts to whether the last end was durable before its deadline."""
        if was_in_time:
            self.ns = max(self.ns - _SHORTER_NS, _LEAST_NS)
        else:
            self.ns = min(self.ns + _LONGER_NS, _MOST_NS)
