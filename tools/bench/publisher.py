"""A bare PUB that sends each line of its input under a topic. Prints its endpoint, ends with its input.

Argument: the topic.
"""

import sys

import zmq


def main() -> None:
    topic = sys.argv[1].encode()
    context = zmq.Context()
    publisher = context.socket(zmq.PUB)
    publisher.sndhwm = 0
    port = publisher.bind_to_random_port("tcp://127.0.0.1")
    print(f"tcp://127.0.0.1:{port}", flush=True)
    for line in sys.stdin.buffer:
        publisher.send_multipart((topic, line))
    context.destroy(linger=0)


if __name__ == "__main__":
    main()
