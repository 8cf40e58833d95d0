"""Timers that retention has passed, and that are changed all the time: what is stored of them is removed."""

import threading
from random import Random

from campaigns.clients import PlainClient, Request
from campaigns.history import History

COUNT = 800
PAYLOADS = ("x" * 8_000, "x" * 150)
"""The larger make the store large, as the log holds each of these once; the smaller stand in every entry."""

STARTED_AT_ONCE, CHANGED_AT_ONCE = 20, 5
REST_S = 0.02
STOP_LIMIT_S = 60


class OldTimers:
    """One client that has so many timers, from `begin` to `close`."""

    def __init__(self, history: History, server: str, dice: Random, count: int = COUNT) -> None:
        self._history = history
        self._count = count
        self._dice = Random(dice.getrandbits(64))  # noqa: S311 - which timers, not secrets
        self._client = PlainClient("old", history, server)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._change, daemon=True)

    def begin(self) -> None:
        """Starts all of them, and begins to change them."""
        for first in range(0, self._count, STARTED_AT_ONCE):
            numbers = range(first, first + STARTED_AT_ONCE)
            starts = [
                {"id": f"old/{number}", "hours": 1 + number, "payload": PAYLOADS[number % 2]} for number in numbers
            ]
            self._client.ask([Request("timer.start", params) for params in starts])
        self._thread.start()

    def close(self) -> None:
        """Lets them be."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(STOP_LIMIT_S)
        self._client.close()

    def _change(self) -> None:
        try:
            while not self._stopped.wait(self._dice.expovariate(1 / REST_S)):
                ids = [f"old/{self._dice.randrange(self._count)}" for _ in range(CHANGED_AT_ONCE)]
                methods = self._dice.choices(("pause", "resume", "cancel"), (5, 5, 1), k=CHANGED_AT_ONCE)
                changes = zip(methods, ids, strict=True)
                self._client.ask([Request(f"timer.{method}", {"id": timer_id}) for method, timer_id in changes])
        except Exception as failure:  # a thread that dies in silence would make the load smaller
            self._history.failed("old", repr(failure))
