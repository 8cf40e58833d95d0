"""Runs in a client's container beside a cluster: starts timers for a while, hears their ends, reads the log of it all,
and tells of everything in one line of JSON. It needs nothing but the library of the image."""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator

from timer_client import Event, TimerClient

PREFIX = "load/"
THREADS = 8
A_SECOND = 5.0
"""What each thread starts, where the servers answer at once."""


class Load:
    """What was asked for, acknowledged and heard, by the clock of this process."""

    def __init__(self, client: TimerClient, duration_s: float) -> None:
        self.client = client
        self.duration_s = duration_s
        self.acknowledged: dict[str, tuple[float, float]] = {}
        """By id, when the start was asked for and when it was acknowledged."""
        self.heard: dict[str, list[float]] = {}
        """By id, when its end was heard."""
        self.failures: list[str] = []
        self._heard_one = threading.Condition()

    def start_until(self, end: float, number: int) -> None:
        """Starts one timer after the other."""
        for count in range(10**6):
            asked = time.monotonic()
            if asked >= end:
                return
            timer = self.client.start(seconds=self.duration_s, id=f"{PREFIX}{number}/{count}")
            self.acknowledged[timer.id] = asked, time.monotonic()
            time.sleep(max(0.0, asked + 1 / A_SECOND - time.monotonic()))

    def hear(self) -> None:
        """Hears ends, as long as the process lives."""
        for event in self.client.events(PREFIX, after="start"):
            if event.kind == "fired":
                with self._heard_one:
                    self.heard.setdefault(event.timer.id, []).append(time.monotonic())
                    self._heard_one.notify_all()

    def wait_for_ends(self, limit_s: float) -> None:
        """Waits until the end of all that was acknowledged has been heard."""
        with self._heard_one:
            self._heard_one.wait_for(lambda: self.acknowledged.keys() <= self.heard.keys(), limit_s)

    def begin(self, act: Callable[..., None], *arguments: object) -> threading.Thread:
        """Begins something in a thread, whose failure is noted."""

        def run() -> None:
            try:
                act(*arguments)
            except Exception as error:  # whatever it is, the test tells it
                self.failures.append(f"{type(error).__name__}: {error}")

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread


def logged(client: TimerClient) -> Iterator[Event]:
    """All events that the log holds of these timers."""
    after: dict[str, int] | str = "start"
    while True:
        page = client.read_events(after, PREFIX, limit=1_000)
        yield from page.events
        after = page.next
        if not page.more:
            return


def main(load_s: float, duration_s: float) -> None:
    """Puts a cluster under load, and prints what came of it."""
    with TimerClient() as client:
        load = Load(client, duration_s)
        load.begin(load.hear)
        end = time.monotonic() + load_s
        starting = [load.begin(load.start_until, end, number) for number in range(THREADS)]
        while len(load.acknowledged) < THREADS and not load.failures:
            time.sleep(0.01)
        print("under load", flush=True)
        for thread in starting:
            thread.join()
        load.wait_for_ends(duration_s + 10)
        log = [(event.timer.id, event.kind, event.at_ms, event.timer.due_at_ms) for event in logged(client)]
        told = {"acknowledged": load.acknowledged, "heard": load.heard, "log": log, "failures": load.failures}
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
