"""Reserves jobs and deletes them, and tells how late each was by the deadline in its body.

Arguments: a port and how many. Prints `listening`, and in the end the same line of JSON as the watcher.
"""

import json
import socket
import sys
import time


def main() -> None:
    port, how_many = int(sys.argv[1]), int(sys.argv[2])
    heard: list[tuple[float, float]] = []
    with socket.create_connection(("127.0.0.1", port)) as tcp, tcp.makefile("rb") as replies:
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tcp.sendall(b"reserve\r\n")
        print("listening", flush=True)
        while len(heard) < how_many:
            head = replies.readline()
            arrived_ms = time.time_ns() / 1e6
            word, *rest = head.split()
            if word != b"RESERVED":
                assert word == b"DELETED", head
                continue
            heard.append((arrived_ms, float(replies.read(int(rest[1]) + 2))))
            tcp.sendall(b"delete %s\r\nreserve\r\n" % rest[0])
    late_ms = [arrived_ms - due_ms for arrived_ms, due_ms in heard]
    took_ms = heard[-1][0] - min(due_ms for _, due_ms in heard)
    print(json.dumps({"late_ms": late_ms, "took_ms": took_ms}), flush=True)


if __name__ == "__main__":
    main()
