"""Asks one thing after another in a process of its own, and tells how long each took.

Argument: an endpoint. Prints `asking` before the first request, goes on until its input ends, and prints one line of
JSON: `took_ms`, one for each request.
"""

import json
import select
import sys
import time

from drivers.peers import requester

PAUSE_S = 0.001


def ask(endpoint: str) -> list[float]:
    """How long each start of a timer took, until the input ends."""
    took_ms = []
    with requester(endpoint) as rpc:
        print("asking", flush=True)
        while not select.select([sys.stdin], [], [], PAUSE_S)[0]:
            begun_s = time.perf_counter()
            rpc.call("timer.start", hours=1)
            took_ms.append((time.perf_counter() - begun_s) * 1000)
    return took_ms


def main() -> None:
    print(json.dumps({"took_ms": ask(sys.argv[1])}), flush=True)


if __name__ == "__main__":
    main()
