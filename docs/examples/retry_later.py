"""Calls to a service that has its bad days: made again when it says, given up where that is no use, revived by hand.

    python retry_later.py call /charge/42                     durable; returns at once
    python retry_later.py work --api https://api.example
    timer queue dead calls                                    what was given up, and why
    timer queue revive calls --all                            another chance for that

The worker prints

    /charge/42: 503 Service Unavailable, again in 7 s
    /charge/42: 200 OK

What cannot be reached comes again as the queue's backoff says, and so do 429, 502, 503 and 504, or else after their
Retry-After; other answers are final. Each call has an Idempotency-Key, the same in every attempt, by which the service
can tell a repeated one.
"""

import argparse
import signal
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPSConnection
from urllib.parse import urlsplit

from timer_client import HeldDelivery, TimerClient, new_id

QUEUE, PREFIX = "calls", "call/"
LATER = {429, 502, 503, 504}
MOST_S = 86_400
MS_PER_S = 1_000
BACKOFF_MS = [5_000, 60_000, 600_000, 3_600_000]
"""After the first attempt, the second …, the last for all that follow."""


def main() -> None:
    parser = argparse.ArgumentParser(description="HTTP calls that are made again later.")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("call", help="have a call made").add_argument("path")
    actions.add_parser("work", help="make the calls").add_argument("--api", required=True, metavar="URL")
    wanted = parser.parse_args()

    with TimerClient() as client:
        # Before the first timer: a queue has the ends since it was made.
        client.put_queue(QUEUE, PREFIX, max_deliveries=20, backoff_ms=BACKOFF_MS)
        if wanted.action == "call":
            timer = client.start(id=PREFIX + new_id(), seconds=0.001, payload={"path": wanted.path})
            print(f"{timer.id} calls {wanted.path}")
        else:
            work(client, wanted.api)


def work(client: TimerClient, api: str) -> None:
    """Makes calls until SIGTERM or Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        for end in client.work(QUEUE):
            try:
                with end:  # an error that leaves the block gives it back
                    call(end, api)
            except Exception as error:  # whatever it is: this call comes again, and the others go on
                print(f"{end.id}: {error!r}, attempt {end.attempt} of {end.max_deliveries}", flush=True)


def call(end: HeldDelivery, api: str) -> None:
    """Makes a call, and gives it back or up where the answer says so. Raises what is worth another attempt."""
    place = urlsplit(api)
    connect = HTTPSConnection if place.scheme == "https" else HTTPConnection
    with closing(connect(place.netloc, timeout=20)) as connection:  # a lease of 30 s renews itself meanwhile
        connection.request("POST", end.payload["path"], headers={"Idempotency-Key": end.id})
        answer = connection.getresponse()
        answer.read()
    told = f"{answer.status} {answer.reason}"
    asked_s = answer.headers.get("Retry-After", "")
    if answer.status in LATER and asked_s.isdecimal():
        wait_s = min(int(asked_s), MOST_S)
        end.nack(told, delay_ms=wait_s * MS_PER_S)
        told += f", again in {wait_s} s"
    elif answer.status in LATER:
        end.nack(told)
        told += ", again later"
    elif not 200 <= answer.status < 300:
        end.nack(told, then="dead")
        told += ", given up"
    print(f"{end.payload['path']}: {told}", flush=True)


if __name__ == "__main__":
    main()
