"""Takes timers that are due out of Redis, and tells how late each was.

Arguments: a port and how many. Prints `listening`, and in the end the same line of JSON as the watcher.
"""

import json
import sys
import time

import redis

from bench.peers.redis_server import DUE, PAYLOADS, TAKE_SCRIPT

EVERY_S = 0.001


def main() -> None:
    port, how_many = int(sys.argv[1]), int(sys.argv[2])
    late_ms: list[float] = []
    first_due_ms = float("inf")
    arrived_ms = 0.0
    with redis.Redis(host="127.0.0.1", port=port) as client:
        take = client.register_script(TAKE_SCRIPT)
        take(keys=[DUE, PAYLOADS], args=[0])
        print("listening", flush=True)
        while len(late_ms) < how_many:
            taken = take(keys=[DUE, PAYLOADS], args=[time.time_ns() // 1_000_000])
            if not taken:
                time.sleep(EVERY_S)
                continue
            arrived_ms = time.time_ns() / 1e6
            due_ms = [float(score) for score in taken[1]]
            late_ms += [arrived_ms - due for due in due_ms]
            first_due_ms = min(first_due_ms, *due_ms)
    print(json.dumps({"late_ms": late_ms, "took_ms": arrived_ms - first_due_ms}), flush=True)


if __name__ == "__main__":
    main()
