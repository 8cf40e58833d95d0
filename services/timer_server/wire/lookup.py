"""Looking a name up beside the loop, in a thread that nobody waits for.

ZeroMQ would do it in its own thread, where every connection of the context waits meanwhile.
"""

import threading
from collections.abc import Sequence

from timer_protocol.addresses import UnknownHost, has_name, numbered


class Lookup:
    """Finds the addresses of an endpoint. `found` is None until that is over, and empty where there are none."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self.found: Sequence[str] | None = None if has_name(endpoint) else (endpoint,)
        if self.found is None:
            try:
                threading.Thread(target=self._look, name="lookup", daemon=True).start()
            except RuntimeError:  # as many as the system allows; it is tried again with the next connection
                self.found = ()

    def _look(self) -> None:
        try:
            self.found = numbered(self._endpoint)
        except UnknownHost:
            self.found = ()
