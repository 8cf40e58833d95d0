"""How long before a deadline the loop begins to make an end durable, when it has nothing else to do.

Waking up and a commit take some tenths of a millisecond. Begun so much earlier, the end is on disk when its deadline
comes, and is told then: nobody is told before, and nobody can ask before, as the loop looks at nothing else meanwhile.
"""

_FIRST_NS = 250_000
_LEAST_NS = 50_000
_MOST_NS = 500_000
"""On a slow disk ends are late by the rest; requests that come in wait for no longer than this, or for the commit."""

_LONGER_NS = 20_000
_SHORTER_NS = 5_000
"""A fourth of the other: four of five commits are done in time, and those wait for little."""


class HeadStart:
    """Follows how long it takes here, from the alarm to the end of the commit; `ns` is the present estimate."""

    def __init__(self) -> None:
        self.ns = _FIRST_NS

    def note(self, was_in_time: bool) -> None:
        """Takes note of whether the last end was durable before its deadline."""
        if was_in_time:
            self.ns = max(self.ns - _SHORTER_NS, _LEAST_NS)
        else:
            self.ns = min(self.ns + _LONGER_NS, _MOST_NS)
