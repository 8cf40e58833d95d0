"""Which of several servers is asked."""

from collections import deque
from collections.abc import Sequence
from random import sample


class Rota:
    """The endpoints of servers, in an order of this client's own, so that many clients spread over them.

    A client asks one server for as long as that answers. One that does not is left for the next; its turn comes again.
    """

    def __init__(self, endpoints: Sequence[str]) -> None:
        self._endpoints = deque(sample(endpoints, len(endpoints)))

    @property
    def current(self) -> str:
        """The endpoint of the server to ask."""
        return self._endpoints[0]

    def leave(self, endpoint: str) -> None:
        """Goes on to the next server, unless another caller has left this one already."""
        if self._endpoints[0] == endpoint:
            self._endpoints.rotate(-1)
