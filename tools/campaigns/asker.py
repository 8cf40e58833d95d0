"""Asks a server how everything stands, as a client should: the same again, where a request or its answer was lost."""

import time
from contextlib import suppress
from itertools import cycle
from typing import Any

import zmq

from drivers.peers import REPLY_LIMIT_MS, Requester, socket_to
from timer_protocol.settings import endpoints

PATIENCE_S = 60
PAUSE_S = 0.1


class Asker:
    """Asks only what changes nothing; of several servers, given with commas between them, each in turn.

    Where the server cuts connections it tells those who wait so, to be asked again; and nothing those whose requests
    it has not read.
    """

    def __init__(self, endpoint: str, reply_limit_ms: int = REPLY_LIMIT_MS, patience_s: float = PATIENCE_S) -> None:
        self._endpoints = cycle(endpoints(endpoint))
        self._reply_limit_ms = reply_limit_ms
        self._patience_s = patience_s

    def result(self, method: str, **params: Any) -> Any:
        """The result of a call, which has sockets of its own. Raises `AssertionError` where there is none."""
        end_s = time.monotonic() + self._patience_s
        response: dict[str, Any] | None = None
        while time.monotonic() < end_s:
            with (
                socket_to(zmq.REQ, next(self._endpoints), rcvtimeo=self._reply_limit_ms) as socket,
                suppress(zmq.Again),
            ):
                response = Requester(socket).response(method, **params)
                if not response.get("error", {}).get("data", {}).get("retryable"):
                    break
            time.sleep(PAUSE_S)  # a polite peer waits before it asks again
        assert response is not None, f"{method} was not answered within {self._patience_s} s"
        assert "result" in response, response
        return response["result"]
