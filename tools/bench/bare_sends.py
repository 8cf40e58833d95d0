"""The limit of many subscribers: nothing but a `send` to each of so many connections, as often as it is asked.

Arguments: how many connections, and the bytes of a message. Prints its endpoint. For each line that it reads it sends
once to all, and prints how many microseconds of processor time that took. Ends with its input.
"""

import socket
import sys
import time

CONNECTIONS_QUEUED = 1024


def main() -> None:
    how_many, size = int(sys.argv[1]), int(sys.argv[2])
    message = b"x" * (size - 2) + b"\r\n"
    with socket.create_server(("127.0.0.1", 0), backlog=CONNECTIONS_QUEUED) as listening:
        print(f"tcp://127.0.0.1:{listening.getsockname()[1]}", flush=True)
        peers = [listening.accept()[0] for _ in range(how_many)]
    for peer in peers:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.setblocking(False)
    sends = [peer.send for peer in peers]
    for _ in sys.stdin:
        begun_ns = time.thread_time_ns()
        for send in sends:
            send(message)
        print((time.thread_time_ns() - begun_ns) / 1000, flush=True)


if __name__ == "__main__":
    main()
