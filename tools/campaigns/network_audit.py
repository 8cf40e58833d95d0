"""How things stand on a server in the end: all timers and the whole event log, through a connection of its own.

This file needs the client library only: a client container can run it by itself, and then prints JSON.
"""

import sys

import msgspec

from timer_client import Event, Timer, TimerClient

SOON_MS = 60_000
"""What has less to go is waited for."""

WAIT_LIMIT_S = 20.0
PAGE = 1000


class Audit(msgspec.Struct):
    """All timers by id, and all events in the order of the log."""

    timers: dict[str, Timer]
    events: list[Event]


def audit(client: TimerClient) -> Audit:
    """Waits for what is about to fire, then reads everything."""
    for timer in client.timers(state="running"):
        if timer.remaining_ms < SOON_MS:
            client.wait(timer, WAIT_LIMIT_S)
    page = client.read_events("start", limit=PAGE)
    events = page.events
    while page.more:
        page = client.read_events(page.next, limit=PAGE)
        events += page.events
    return Audit({timer.id: timer for timer in client.timers()}, events)


if __name__ == "__main__":
    with TimerClient() as fresh:
        sys.stdout.buffer.write(msgspec.json.encode(audit(fresh)))
