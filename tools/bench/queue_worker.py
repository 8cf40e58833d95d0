"""Takes the ends of a queue and acknowledges them with the library. Arguments: an endpoint and a queue."""

import sys

from bench.sharing import TOGETHER, work
from timer_client import TimerClient


def main() -> None:
    endpoint, queue = sys.argv[1:]
    with TimerClient(server=endpoint) as client:

        def take_and_acknowledge() -> int:
            deliveries = client.take(queue, TOGETHER)
            if deliveries:
                assert len(client.ack(queue, deliveries).done) == len(deliveries)
            return len(deliveries)

        client.info()
        work(take_and_acknowledge)


if __name__ == "__main__":
    main()
