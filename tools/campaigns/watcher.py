"""A watcher that is cut off now and then, and resumes where it was."""

import threading
from collections.abc import Mapping
from random import Random

from campaigns.history import History
from timer_client import Cursor, Settings, TimerClient
from timer_client.errors import ClientClosed


class Watcher:
    """Follows the events of a log with a prefix from its beginning, and records each that it is handed.

    After so many events, on average, it drops its client and goes on with a new one.
    """

    def __init__(
        self, name: str, history: History, settings: Settings, dice: Random, resumes_after: int, prefix: str = ""
    ) -> None:
        self._name = name
        self._history = history
        self._settings = settings
        self._dice = dice
        self._resumes_after = resumes_after
        self._cursor = Cursor()
        self._prefix = prefix
        self._reached: dict[str, int] = {}
        self._progress = threading.Condition()
        self._closing = self._failed = False
        self._client: TimerClient | None = None
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Begins to watch."""
        self._history.watching(self._name, 0)
        self._thread.start()

    def reach(self, ends: Mapping[str, int], limit_s: float) -> bool:
        """Waits until the watcher has come as far as a `seq` in each log; False where it has not in time, or fails."""
        with self._progress:
            self._progress.wait_for(lambda: self._has_reached(ends) or self._failed, limit_s)
            return self._has_reached(ends)

    def _has_reached(self, ends: Mapping[str, int]) -> bool:
        return all(self._reached.get(log, 0) >= seq for log, seq in ends.items())

    def close(self, limit_s: float) -> None:
        """Ends the watcher."""
        with self._progress:
            self._closing = True
            client = self._client
        if client is not None:
            client.close()
        self._thread.join(limit_s)
        assert not self._thread.is_alive(), f"{self._name} does not end"

    def _watch(self) -> None:
        try:
            while not self._closing:
                self._follow(int(self._dice.expovariate(1 / self._resumes_after)) + 1)
        except ClientClosed:
            pass
        except Exception as failure:  # whatever it is, it has reached the caller, and that is the finding
            self._history.failed(self._name, repr(failure))
            with self._progress:
                self._failed = True
                self._progress.notify_all()

    def _follow(self, events: int) -> None:
        """Follows so many events with one client."""
        with TimerClient(settings=self._settings) as client:
            with self._progress:
                self._client = client
                if self._closing:
                    return
            stream = client.events(self._prefix, after=self._cursor)
            for event in stream:
                self._history.heard(self._name, event)
                with self._progress:
                    self._cursor = stream.cursor or self._cursor
                    self._reached[event.log] = event.seq
                    self._progress.notify_all()
                events -= 1
                if not events:
                    return
