"""Takes entries of a stream as one of a group, and acknowledges them, with redis-py. Arguments: a port and a name."""

import os
import sys
from typing import Any

import redis

from bench.peers.redis_queues import GROUP, STREAM
from bench.sharing import TOGETHER, work


def main() -> None:
    with redis.Redis(host="127.0.0.1", port=int(sys.argv[1])) as client:
        consumer = f"worker-{os.getpid()}"

        def take_and_acknowledge() -> int:
            taken: Any = client.xreadgroup(GROUP, consumer, {STREAM: ">"}, count=TOGETHER)
            if not taken:
                return 0
            ((_, entries),) = taken
            assert client.xack(STREAM, GROUP, *(entry_id for entry_id, _ in entries)) == len(entries)
            return len(entries)

        client.ping()
        work(take_and_acknowledge)


if __name__ == "__main__":
    main()
